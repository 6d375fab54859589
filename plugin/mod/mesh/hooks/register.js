// Registers what the mod adds to a session of Claude Code; an event has one hook here, and each part has a file of its own.
import { COMMAND, commandText, offerCommand } from './command.js'
import { announce, noteMessage, takeWakeLine } from './forks.js'
import { isOfFork, narrow, noteEndOfTurn } from './reading_fork.js'
import { refreshStatus } from './status.js'

export function register(on) {
  on('session.start', async ($, e, next) => {
    const started = await next(e)
    await offerCommand($)
    void announce($)
    return started
  })
  on('command.run', { command: COMMAND }, async $ => ({ text: await commandText($), isTextDisplayOnly: true }))
  on('session.receive', async ($, e, next) => {
    const isTaken = e.agentId === undefined && (await takeWakeLine($, e.text))
    return isTaken ? { consumed: 'a fork answers' } : next(e)
  })
  on('turn.start', ($, e, next) => {
    noteMessage(e)
    return next(e)
  })
  on('tool.call', ($, e, next) => {
    noteMessage(e)
    return isOfFork(e) ? narrow($, e, next) : next(e)
  }).catch(($, e, next) => (isOfFork(e) ? { deny: 'this call could not be checked' } : next(e)))
  on('turn.complete', ($, e, next) => {
    noteMessage(e)
    noteEndOfTurn(e)
    if (e.agentId === undefined) void refreshStatus($)
    return next(e)
  })
}
