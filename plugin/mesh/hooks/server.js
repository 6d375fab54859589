// Calls the MCP server of claude-mesh in this session. Such a call asks the user nothing, and the server
// knows by its id that no model made it.
import { SERVER } from './server_name.js'

const ANNOUNCE_PAUSES_MS = [0, 100, 200, 400, 800, 1500, 3000]

let announced = Promise.resolve()
let guardSocketPath

// Returns whether a plugin makes a call, this one most often: nothing of it enters the conversation.
export function isOwnCall(e) {
  return e.agentId === undefined && e.tool_use_id?.startsWith('toolu_plugin_') === true
}

// Returns the result of a tool; throws if the call was refused or failed.
export async function callTool($, tool, input) {
  const { content, isError } = await $.mcp.call(SERVER, tool, input)
  const text = content.map(block => block.text ?? '').join('')
  if (isError) throw new Error(text)
  return JSON.parse(text)
}

// Tells the server something by the call that is for the mod. Returns what is there now.
export async function reportToServer($, report) {
  const found = await callTool($, 'poll_inbox', { fork: report })
  guardSocketPath = found.guard_socket ?? undefined
  return found
}

// Tells the server that this session has the mod. At the start of a session the server may not run yet.
export function announce($) {
  announced = announceSoon($)
}

async function announceSoon($) {
  for (const pauseMs of ANNOUNCE_PAUSES_MS) {
    await new Promise(resolve => setTimeout(resolve, pauseMs))
    const isAnnounced = await reportToServer($, {}).then(() => true, error => logFault($, error))
    if (isAnnounced) return
  }
}

// Returns the socket at which the server says what is denied, or undefined. At the start of a session it may have to be waited
// for.
export async function guardSocket() {
  if (guardSocketPath === undefined) await announced
  return guardSocketPath
}

// Returns what a promise brings, or undefined if it takes longer.
export function within(timeoutMs, promise) {
  let timer
  const late = new Promise(resolve => (timer = setTimeout(resolve, timeoutMs)))
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

// Writes a fault to the debug log of Claude Code: a fault of the mod must not disturb the session.
export function logFault($, error) {
  $.ui.log(`mesh: ${error}`, { to: 'debug' })
}
