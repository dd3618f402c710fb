import * as UsageSum from "@baton/core/UsageSum"

/**
 * The usage of the tasks of a queue: like their counts, the sum of a column. It is an array of the columns of a `UsageSum`,
 * empty in the rows of the many writes that do not change the usage of a task.
 */

const { columns } = UsageSum

/** No change of the usage of a queue. */
export const none = "'{}'::bigint[]"

/** The sum of a column of arrays. */
export const total = (column: string, sign: "+" | "-" = "+") => `
  CASE WHEN count(${column}[1]) = 0 THEN ${none}
    ELSE ARRAY[${columns.map((_, index) => `${sign}sum(${column}[${index + 1}])`).join(", ")}]::bigint[] END`

/** The columns of a sum by name. */
export const columnsOf = (column: string) =>
  columns.map((name, index) => `coalesce(sum(${column}[${index + 1}]), 0)::float8 AS "${name}"`).join(", ")

/** Whether a sum is not zero. */
export const isSome = (column: string) =>
  columns.map((_, index) => `coalesce(sum(${column}[${index + 1}]), 0) <> 0`).join(" OR ")

/** By how much the replacement of a task's usage changes the sum, as the text of an array; null for nothing. */
export const change = (before: string | null, after: string | null): string | null =>
  before === after ? null : arrayOf(UsageSum.change(before, after))

export const arrayOf = (sum: UsageSum.UsageSum): string => `{${columns.map((name) => sum[name]).join(",")}}`

const tokens = ["inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens"].map(
  (name) => `(u ->> '${name}')::bigint`
)
const known = "(u ->> 'costUsd')::float8"
const bound = (name: string) => `(u -> 'bounds' ->> '${name}')::float8`
const max = `coalesce(${known}, ${bound("maxUsd")})`
const nanoUsd = (usd: string) => `floor(coalesce(${usd}, 0) * 1e9 + 0.5)::bigint`

/** The array of one usage, `u` as jsonb: what `UsageSum.of` returns. */
export const ofJson = `ARRAY[
  1, ${tokens.join(", ")},
  CASE WHEN ${known} IS NULL THEN coalesce(${bound("maxTokens")}::bigint, ${tokens.join(" + ")}) ELSE ${tokens.join(" + ")} END,
  ${nanoUsd(`coalesce(${known}, ${bound("minUsd")})`)}, ${nanoUsd(max)},
  (${known} IS NULL)::integer, (${max} IS NULL)::integer
]::bigint[]`

/** The array of a task's usage, which is a JSON text or null. */
export const ofTask = (usage: string) =>
  `(SELECT ${ofJson} FROM (SELECT (${usage})::jsonb AS u OFFSET 0) j WHERE u IS NOT NULL)`
