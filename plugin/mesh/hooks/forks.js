// Answers questions of other sessions by forks of this conversation, which the conversation never sees. The server decides
// which questions: it knows what the person allows. Whatever fails here goes the way it goes without the mod.
import { wakeLineNonce } from './doorbell.js'
import { NO_ANSWER, forkPrompt } from './fork_prompt.js'
import { readingFork } from './reading_fork.js'
import { callTool, logFault, reportToServer } from './server.js'
import { showWaiting } from './status.js'

const FORKS_AT_ONCE = 4

// When something last entered the conversation: a fork knows what came before.
let lastMessageAtMs = Date.now()

// Notes that a turn or a tool call begins, or that a turn ends. Results of tools come to a fork with the message after them.
export function noteMessage(e) {
  if (e.agentId === undefined) lastMessageAtMs = Date.now()
}

// Begins to answer the questions of a wake line by forks. Returns whether the session need not get the line.
export async function takeWakeLine($, text) {
  const nonce = wakeLineNonce(text)
  if (nonce === undefined) return false
  const offer = await reportToServer($, { doorbell: nonce }).catch(error => logFault($, error))
  if (offer !== undefined && !offer.takes_line) showWaiting($, offer)
  if (!offer?.questions?.length) return false
  void answerAll($, offer.questions, offer.reads)
  return offer.takes_line
}

async function answerAll($, questions, reads) {
  const waiting = [...questions]
  await Promise.all(Array.from({ length: FORKS_AT_ONCE }, () => answerEach($, waiting, reads)))
}

async function answerEach($, waiting, reads) {
  for (let question = waiting.shift(); question !== undefined; question = waiting.shift()) {
    const failed = await answer($, question, reads).then(() => undefined, error => error)
    if (failed === undefined) continue
    logFault($, failed)
    await reportToServer($, { unanswered: [question.question_id] }).catch(error => logFault($, error))
  }
}

// Answers a question; throws if the fork has no answer.
async function answer($, question, reads) {
  const asOf = new Date(lastMessageAtMs).toISOString()
  const prompt = forkPrompt(question, reads)
  const reply = reads ? await readingFork($, prompt) : await plainFork($, prompt)
  const text = reply.text.trim()
  if (text === '' || text.includes(NO_ANSWER)) throw new Error('the conversation does not say')
  const fork = { as_of: asOf, usage: reply.usage ?? {} }
  await callTool($, 'reply_to_peer', { question_id: question.question_id, answer: text, fork })
}

// A fork without tools.
async function plainFork($, prompt) {
  const reply = await $.model.fork({ prompt })
  if (!reply.isAnswered) throw new Error(`no fork: ${reply.reason}`)
  return reply
}
