/** The tools that Claude's API runs itself while it answers a request. */
import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import type { MessageRequest } from "./MessageRequest.ts"

/** The tools that an executor offers. */
export interface ServerTools {
  /** The most web searches of one request. Each costs money besides the tokens of its results. Default: no search. */
  readonly webSearch?: number | undefined
  /** The most web pages and PDFs that one request may fetch. Default: none. */
  readonly webFetch?: number | undefined
  /** Whether it may run code in a sandbox of the API. Default: no. */
  readonly codeExecution?: boolean | undefined
}

/** The most tokens of a fetched page. The API cuts longer ones, except PDFs. */
const mostTokensOfPage = 20_000

/** The tools as a request names them. Their results go to the model as they are, so that their number limits their tokens. */
export const toolsFor = ({
  codeExecution,
  webFetch,
  webSearch
}: ServerTools): { readonly tools: ReadonlyArray<Schema.JsonObject> } | undefined => {
  const tools = [
    ...(webSearch === undefined
      ? []
      : [{ type: "web_search_20260318", name: "web_search", max_uses: webSearch, allowed_callers: ["direct"] }]),
    ...(webFetch === undefined
      ? []
      : [
          {
            type: "web_fetch_20260318",
            name: "web_fetch",
            max_uses: webFetch,
            max_content_tokens: mostTokensOfPage,
            allowed_callers: ["direct"]
          }
        ]),
    ...(codeExecution === true ? [{ type: "code_execution_20250825", name: "code_execution" }] : [])
  ]
  return tools.length === 0 ? undefined : { tools }
}

/** What the tools of a request can use. The tokens are estimates, because the API states no limit for the results of a search. */
export interface ToolBound {
  /** The tokens that results add to the prompt. */
  readonly tokens: number
  /** How often the model reads the prompt again, with the results so far: once after each use of a tool. */
  readonly rereads: number
  readonly searches: number
  /** Requests in which code runs: 0 or 1. */
  readonly codeRuns: number
}

/** Ten results of a search, or one page. */
const tokensOfResult = 20_000

/** The API pauses a turn after this many uses of tools. */
const mostCodeRuns = 10

export const boundOf = ({ tools = [] }: Pick<MessageRequest, "tools">): ToolBound => {
  const usesOf = (name: string) => {
    const tool = tools.find((tool) => tool["name"] === name)
    if (tool === undefined) return 0
    return typeof tool["max_uses"] === "number" ? tool["max_uses"] : mostCodeRuns
  }
  const searches = usesOf("web_search")
  const runs = usesOf("code_execution")
  const uses = searches + usesOf("web_fetch") + runs
  return { tokens: uses * tokensOfResult, rereads: uses, searches, codeRuns: Math.min(1, runs) }
}

/** The uses of tools in an answer. */
export interface ToolUses {
  readonly webSearches: number
  readonly webFetches: number
  readonly codeRuns: number
}

/** The tools that run code, by the name in the answer. */
const codeTools: ReadonlySet<unknown> = new Set(["code_execution", "bash_code_execution", "text_editor_code_execution"])

type Content = ReadonlyArray<Schema.JsonObject>

/** How often code ran in an answer. */
export const codeRunsIn = (content: Content): number =>
  content.filter(({ name, type }) => type === "server_tool_use" && codeTools.has(name)).length

/** The text of an answer. Where tools were used, it is the text after their last result: the text before is about what to do. */
export const textOf = (content: Content): string => {
  const last = content.findLastIndex(isToolResult)
  return joined(content.slice(last + 1)) || joined(content)
}

/** Whether a tool was used in an answer. */
export const usesTools = (content: Content): boolean => content.some(isToolResult)

const isToolResult = ({ type }: Schema.JsonObject): boolean => typeof type === "string" && type.endsWith("_tool_result")

const joined = (content: Content): string =>
  content.map(({ text, type }) => (type === "text" && typeof text === "string" ? text : "")).join("")

/** The addresses that an answer cites, each once. */
export const sourcesOf = (content: Content): ReadonlyArray<string> => [
  ...new Set(
    content.flatMap(({ citations }) =>
      Array.isArray(citations)
        ? citations.flatMap((citation: unknown) =>
            Predicate.hasProperty(citation, "url") && typeof citation.url === "string" ? [citation.url] : []
          )
        : []
    )
  )
]
