// Registers what the mod adds to a session of Claude Code. Each part has a file of its own.
import { registerCommand } from './command.js'

export function register(on) {
  registerCommand(on)
}
