// A fork that may read: a subagent that Claude Code starts from this conversation, kept to reading files of the project. Without
// that it could do whatever the session can do. The rules of the person hold for it as for every agent; these come before.

const READING_TOOLS = ['Read', 'Grep', 'Glob']
const REFUSED = 'a fork that answers another session only reads files of its project'
// Files with secrets, wherever they are.
const SECRET_NAME = /^\.env/
// A line of a search result that names such a file first.
const SECRET_FOUND = /^([^:\n]*\/)?\.env[^/:\n]*([:\n]|$)/m

// The forks that run, by the id of their agent, each with how it ends.
const running = new Map()
// Agents that had done something before a fork began, so that they are no fork.
const others = new Set()
// Turns of agents that ended while no id was known for a fork that had just begun.
const endedEarly = new Map()
let starting = 0

// Lets a fork answer a prompt. Returns the text and the usage; throws if there is no answer.
export async function readingFork($, prompt) {
  starting += 1
  let started
  try {
    started = await $.agent.spawn({ subagentType: 'fork', description: 'a question of another session', prompt })
    if (started.agentId !== undefined) running.set(started.agentId, undefined)
  } finally {
    starting -= 1
  }
  if (started.agentId === undefined) throw new Error(`no fork: ${started.deny}`)
  const ended = await endOf(started.agentId)
  if (starting === 0) endedEarly.clear()
  if (ended.reason !== 'answer') throw new Error(`the fork ended: ${ended.reason}`)
  return { text: ended.answer, usage: ended.usage }
}

function endOf(agentId) {
  const early = endedEarly.get(agentId)
  if (early !== undefined) {
    running.delete(agentId)
    return early
  }
  return new Promise(resolve => running.set(agentId, resolve))
}

// Takes note of the end of a turn of an agent.
export function noteEndOfTurn(e) {
  if (e.agentId === undefined) return
  const end = running.get(e.agentId)
  if (end !== undefined) {
    running.delete(e.agentId)
    end(e)
  } else if (starting > 0 || running.has(e.agentId)) {
    endedEarly.set(e.agentId, e)
  }
  others.delete(e.agentId)
}

// Returns whether a call is one of a fork, or may be.
export function isOfFork(e) {
  if (e.agentId === undefined) return false
  if (running.has(e.agentId)) return true
  if (others.has(e.agentId)) return false
  // The id of a fork that has just begun is not known yet.
  if (starting > 0) return true
  others.add(e.agentId)
  return false
}

// Lets a fork read what it may read, and refuses everything else.
export async function narrow($, e, next) {
  if (!READING_TOOLS.includes(e.tool)) return { deny: REFUSED }
  const root = await realPath($, await $.session.root())
  const place = e.tool === 'Read' ? e.file_path : (e.path ?? root)
  const real = await realPath($, place)
  if (root === undefined || real === undefined || !isBelow(real, root)) return { deny: REFUSED }
  if (real.split('/').some(name => SECRET_NAME.test(name))) return { deny: REFUSED }
  const pattern = e.tool === 'Glob' ? e.pattern : (e.glob ?? '')
  if (/^[/~]/.test(pattern) || pattern.split('/').includes('..')) return { deny: REFUSED }
  const narrowed = e.tool === 'Grep' && e.glob === undefined ? { ...e, glob: '!.env*' } : e
  const found = await next(narrowed)
  // A search may find what a pattern does not name.
  if (e.tool !== 'Read' && SECRET_FOUND.test(found.text ?? '')) return { deny: REFUSED }
  return found
}

async function realPath($, path) {
  const found = await $.fs.stat(path, { resolve: true }).catch(() => undefined)
  return found?.realPath
}

function isBelow(path, root) {
  return path === root || path.startsWith(`${root}/`)
}
