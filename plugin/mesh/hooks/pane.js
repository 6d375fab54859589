// The pane of the mod: who else is here, what waits for this session, what is claimed. `/mesh pane` opens and closes it. It is
// looked at again after each turn, at a wake line, and twice a minute while it is open.
import { callTool, logFault } from './server.js'

export const PANE = 'mesh'
const REFRESH_MS = 30000
const PEERS_MAX = 12
const LINES_MAX = 6
const DETAIL_CHARS_MAX = 60
// Characters that could move the cursor or turn the direction of text. Other sessions have written what is shown.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

let timer
let found

// Opens the pane, or closes it if it is open. Returns the text that the command prints.
export async function togglePane($) {
  if (timer !== undefined) {
    await $.ui.close({ id: PANE })
    return 'the pane is closed'
  }
  await look($)
  timer = $.clock.every(REFRESH_MS, () => refreshPane($))
  const opened = await $.ui.open({ id: PANE, title: 'mesh', columns: 50, rows: 16 })
  return opened.isPlaced ? 'the pane is open; /mesh pane closes it' : `the pane waits: ${opened.reason}`
}

// Notes that the pane is closed, by the command or by the person.
export function noteClosed() {
  timer?.cancel()
  timer = undefined
}

// Looks again, if the pane is open.
export async function refreshPane($) {
  if (timer !== undefined) await look($).catch(error => logFault($, error))
}

async function look($) {
  const { you, peers } = await callTool($, 'list_peers', {})
  const { questions } = await callTool($, 'poll_inbox', {})
  // A setting may leave out the tools for claims.
  const { claims } = await callTool($, 'claims', {}).catch(() => ({ claims: [] }))
  const here = peers.map(({ peer, activity, questions_waiting: waiting, doing }) => {
    const state = waiting > 0 ? `${activity}, ${waiting} waiting` : activity
    return { name: shown(peer), state: shown(state), detail: shown(doing ?? '') }
  })
  const waits = questions.map(({ from, question }) => ({ name: shown(from), detail: shown(question) }))
  const claimed = claims.map(({ resource, holders, queue }) => {
    const names = holders.map(holder => shown(holder.peer)).join(', ')
    const state = queue.length > 0 ? `${names}, ${queue.length} waiting` : names
    return { name: shown(resource.replace(/^file:.*\//, 'file:')), state, detail: '' }
  })
  found = { you, here, waits, claimed }
  $.ui.invalidate('ui.render')
}

function shown(text) {
  const clean = text.replace(CONTROL, ' ')
  return clean.length > DETAIL_CHARS_MAX ? `${clean.slice(0, DETAIL_CHARS_MAX - 1)}…` : clean
}

export function drawPane($, e) {
  const { Box, Text } = $.ui.resolve(e)
  if (found === undefined) return Text({ dimColor: true, children: 'the mesh is not read yet' })
  const line = ({ name, state, detail }) =>
    Text({ wrap: 'truncate-end', children: [name, state ? `  ${state}` : '', Text({ dimColor: true, children: detail ? `  ${detail}` : '' })] })
  const part = (title, items, most, none) => [
    Text({ bold: true, children: items.length > 0 ? `${title} (${items.length})` : title }),
    ...items.slice(0, most).map(line),
    ...(items.length > most ? [Text({ dimColor: true, children: `and ${items.length - most} more` })] : []),
    ...(items.length === 0 ? [Text({ dimColor: true, children: none })] : []),
  ]
  return Box({
    flexDirection: 'column',
    children: [
      Text({ dimColor: true, children: `you are ${found.you}` }),
      ...part('Here', found.here, PEERS_MAX, 'nobody else'),
      ...part('Waits for you', found.waits, LINES_MAX, 'nothing'),
      ...part('Claimed', found.claimed, LINES_MAX, 'nothing'),
    ],
  })
}
