// The status line of the mod: says that questions of other sessions wait for this one, for as long as they do.
import { logFault, reportToServer } from './server.js'

let isShown = false

// Shows how many questions wait, if any.
export function showWaiting($, { here, waiting }) {
  isShown = waiting > 0
  $.ui.status(isShown ? `${here} here · ${waiting} ${waiting === 1 ? 'waits' : 'wait'}` : undefined)
}

// Looks again at the end of a turn, if something is shown.
export async function refreshStatus($) {
  if (!isShown) return
  const found = await reportToServer($, {}).catch(error => logFault($, error))
  if (found !== undefined) showWaiting($, found)
}
