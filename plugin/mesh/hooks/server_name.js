// The name of the MCP server in Claude Code, where the plugin brings it.
export const SERVER = 'plugin:mesh:claude-mesh'
