// The command /mesh: says who is in the mesh, and with `pane` shows it in a pane. It runs at once, also during a turn, and only the person reads its text.
import { togglePane } from './pane.js'
import { callTool, logFault } from './server.js'

export const COMMAND = 'mesh'
const PEERS_MAX = 12

export async function offerCommand($) {
  const description = 'Who is in the mesh, and what waits there; with "pane" in a pane'
  await $.command.register({ name: COMMAND, description, immediate: true }).catch(error => logFault($, error))
}

export async function commandText($, { args }) {
  const text = args.trim() === 'pane' ? togglePane($) : overview($)
  return await text.catch(error => `the mesh cannot be read: ${error.message}`)
}

async function overview($) {
  const { you, peers } = await callTool($, 'list_peers', {})
  if (peers.length === 0) return `you are ${you}; nobody else is here`
  const named = peers.slice(0, PEERS_MAX).map(peerText)
  const more = peers.length > PEERS_MAX ? `, and ${peers.length - PEERS_MAX} more` : ''
  return `you are ${you}; ${peers.length} other${peers.length > 1 ? 's' : ''} here: ${named.join(', ')}${more}`
}

function peerText({ peer, activity, questions_waiting: waiting }) {
  return waiting > 0 ? `${peer} (${activity}, ${waiting} waiting)` : `${peer} (${activity})`
}
