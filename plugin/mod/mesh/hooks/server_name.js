// The name of the MCP server in Claude Code, where `claude-mesh install` has added it.
export const SERVER = 'claude-mesh'
