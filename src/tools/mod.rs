//! The tools of the mesh as data: the JSON of each result, the same for the MCP server and the command line.

pub mod output;
