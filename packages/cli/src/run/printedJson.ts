/** Reads the cost and the result from the JSON that a program printed: one document, or one per line. */
import { query } from "jsonpath-rfc9535"

/** The sum of all numbers that a path selects; null without one. */
export const costOf =
  (path: string) =>
  (printed: string): number | null => {
    const costs = query(documentIn(printed), path).filter((value) => typeof value === "number" && value >= 0)
    return costs.length === 0 ? null : costs.reduce((sum: number, cost) => sum + Number(cost), 0)
  }

/** The texts that a path selects, in lines; other values as JSON. Null without one. */
export const textOf =
  (path: string) =>
  (printed: string): string | null => {
    const values = query(documentIn(printed), path)
    return values.length === 0
      ? null
      : values.map((value) => (typeof value === "string" ? value : JSON.stringify(value))).join("\n")
  }

/** Whether a text is a JSONPath. */
export const isPath = (path: string): boolean => {
  try {
    query(null, path)
    return true
  } catch {
    return false
  }
}

type JsonValue = Parameters<typeof query>[0]

/** The document, or the list of the lines that are one. Programs also print other lines, such as warnings. */
const documentIn = (printed: string): JsonValue => {
  const whole = parse(printed)
  if (whole !== undefined) return whole
  return printed.split("\n").flatMap((line) => {
    const value = /^\s*[{[]/.test(line) ? parse(line) : undefined
    return value === undefined ? [] : [value]
  })
}

const parse = (text: string): JsonValue | undefined => {
  try {
    const value: JsonValue = JSON.parse(text)
    return value
  } catch {
    return undefined
  }
}
