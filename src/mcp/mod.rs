//! The MCP server: the tools of the mesh for a model.
