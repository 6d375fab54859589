// Recognizes the line by which the server wakes its session through the inbox of Claude Code.

const WAKE_LINE = /^\s*<cross-session-message[^>]*>\s*claude-mesh doorbell ([0-9A-Za-z]{10}):/

// Returns the nonce of a wake line, or undefined for every other text.
export function wakeLineNonce(text) {
  return WAKE_LINE.exec(text)?.[1]
}
