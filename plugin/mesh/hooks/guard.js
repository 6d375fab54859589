// Denies what claims of other sessions forbid: edits of their files, and git commands in their working trees. It holds in every
// permission mode and for subagents, and starts no process. The server decides, over its socket. If it does not, in time, the
// call goes on; then the hook of claude-mesh decides, where it is installed. A call is never changed.
import { guardSocket, logFault, within } from './server.js'

const TIMEOUT_MS = 1000
// At the start of a session the server may not run yet.
const START_TIMEOUT_MS = 2000

// Returns what the model gets if a call is denied, or undefined.
export async function denialOf($, e) {
  const input = guardedInput(e)
  if (input === undefined) return undefined
  const socketPath = await within(START_TIMEOUT_MS, guardSocket())
  if (socketPath === undefined) return undefined
  return await within(TIMEOUT_MS, askGuard($, socketPath, e.tool, input)).catch(error => logFault($, error))
}

// Returns the arguments of a call that could be denied. Most calls end here.
function guardedInput(e) {
  switch (e.tool) {
    case 'Edit':
    case 'MultiEdit':
    case 'Write':
      return { file_path: e.file_path }
    case 'NotebookEdit':
      return { notebook_path: e.notebook_path }
    case 'Bash':
      return e.command?.includes('git') ? { command: e.command } : undefined
    default:
      return undefined
  }
}

async function askGuard($, socketPath, tool, input) {
  const event = { hook_event_name: 'PreToolUse', tool_name: tool, cwd: await $.session.cwd(), tool_input: input }
  const request = { method: 'POST', body: JSON.stringify(event), socketPath }
  const answer = await $.http.fetch('http://claude-mesh/guard', request)
  return JSON.parse(answer.text).deny ?? undefined
}
