// Calls the MCP server that claude-mesh has installed in this session. Such a call asks the user nothing, and the server
// knows by its id that no model made it.

// The name of the server in Claude Code.
const SERVER = 'claude-mesh'

// Returns the result of a tool; throws if the call was refused or failed.
export async function callTool($, tool, input) {
  const { content, isError } = await $.mcp.call(SERVER, tool, input)
  const text = content.map(block => block.text ?? '').join('')
  if (isError) throw new Error(text)
  return JSON.parse(text)
}

// Writes a fault to the debug log of Claude Code: a fault of the mod must not disturb the session.
export function logFault($, error) {
  $.ui.log(`mesh: ${error}`, { to: 'debug' })
}
