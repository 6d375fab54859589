// Registers what the mod adds to a session of Claude Code; an event has one hook here, and each part has a file of its own.
import { COMMAND, commandText, offerCommand } from './command.js'
import { noteMessage, takeWakeLine } from './forks.js'
import { denialOf } from './guard.js'
import { PANE, drawPane, noteClosed, refreshPane } from './pane.js'
import { isOfFork, narrow, noteEndOfTurn } from './reading_fork.js'
import { announce, isOwnCall } from './server.js'
import { refreshStatus } from './status.js'

export function register(on) {
  on('session.start', async ($, e, next) => {
    const started = await next(e)
    await offerCommand($)
    announce($)
    return started
  })
  on('command.run', { command: COMMAND }, async ($, e) => {
    return { text: await commandText($, e), isTextDisplayOnly: true }
  })
  on('ui.render', { component: 'Pane', requestId: PANE }, ($, e) => drawPane($, e))
  on('ui.close', { id: PANE }, async ($, e, next) => {
    const closed = await next(e)
    noteClosed()
    return closed
  })
  on('session.receive', async ($, e, next) => {
    const isTaken = e.agentId === undefined && (await takeWakeLine($, e.text))
    void refreshPane($)
    return isTaken ? { consumed: 'a fork answers' } : next(e)
  })
  on('turn.start', ($, e, next) => {
    noteMessage(e)
    return next(e)
  })
  on('tool.call', async ($, e, next) => {
    if (isOwnCall(e)) return next(e)
    noteMessage(e)
    if (isOfFork(e)) return narrow($, e, next)
    const reason = await denialOf($, e)
    return reason === undefined ? next(e) : { deny: reason }
  }).catch(($, e, next) => (isOfFork(e) ? { deny: 'this call could not be checked' } : next(e)))
  on('turn.complete', ($, e, next) => {
    noteMessage(e)
    noteEndOfTurn(e)
    if (e.agentId === undefined) {
      void refreshStatus($)
      void refreshPane($)
    }
    return next(e)
  })
}
