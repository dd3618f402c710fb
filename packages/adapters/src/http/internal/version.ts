/** The version of the API and of the MCP server. */
export const version = "0.1.0"
