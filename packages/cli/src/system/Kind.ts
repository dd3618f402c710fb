/** Kinds of values: their placeholder in the help, their parser, and their description in error messages. */
import { QueueName } from "@baton/core/Task"
import { maxComment } from "@baton/core/Verification"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

export interface Kind<A> {
  /** The placeholder in the help. */
  readonly metavar: string
  /** Completes the sentence "it takes ...". */
  readonly expected: string
  /** Reads a value; undefined if the text is not one. */
  readonly read: (text: string) => A | undefined
  /** The values that the shell completes, if they are few. */
  readonly names?: ReadonlyArray<string>
}

/** Why a text is not a value of a kind, as a sentence. */
export const problem = ({ expected }: Kind<unknown>, by: string, text: string): string =>
  `${by} is "${text.length > maxShown ? `${text.slice(0, maxShown)}…` : text}": it takes ${expected}.`

const maxShown = 100

/** Text that is not blank. */
export const text = (metavar: string, expected: string): Kind<string> => ({
  metavar,
  expected,
  read: (text) => (text.trim() === "" ? undefined : text)
})

/** What a person says about an output. */
export const comment: Kind<string> = {
  metavar: "TEXT",
  expected: `a comment of at most ${maxComment} characters`,
  read: (text) => (text.trim() === "" || text.length > maxComment ? undefined : text)
}

/** The path of a file with one of these extensions. */
export const file = (extensions: ReadonlyArray<string>): Kind<string> => ({
  metavar: "FILE",
  expected: `the path of a file that ends with ${extensions.slice(0, -1).join(", ")} or ${extensions.at(-1)}`,
  read: (text) => (extensions.some((extension) => text.toLowerCase().endsWith(extension)) ? text : undefined)
})

const isQueueName = Schema.is(QueueName)

/** The name of a queue. */
export const queue: Kind<string> = {
  metavar: "QUEUE",
  expected: "the name of a queue: 1 to 100 characters, without control characters",
  read: (text) => (isQueueName(text) ? text : undefined)
}

/** On or off: a flag without a value. */
export const onOff: Kind<boolean> = {
  metavar: "",
  expected: "true or false",
  read: (text) => (/^(?:true|yes|on|y|1)$/.test(text) ? true : /^(?:false|no|off|n|0)$/.test(text) ? false : undefined)
}

/** A whole number of at least `minimum`. */
export const count = (minimum: number): Kind<number> => ({
  metavar: "N",
  expected: `a whole number of at least ${minimum}`,
  read: (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : undefined
    return value !== undefined && value >= minimum && Number.isSafeInteger(value) ? value : undefined
  }
})

/** Another kind, or a word, which is read as null. */
export const or = <A>(kind: Kind<A>, word: string): Kind<A | null> => ({
  metavar: `${kind.metavar}|${word}`,
  expected: `${kind.expected}, or ${word}`,
  read: (text) => (text === word ? null : kind.read(text))
})

/** Exit codes of failing programs, separated by commas. */
export const exitCodes: Kind<ReadonlyArray<number>> = {
  metavar: "CODES",
  expected: "exit codes from 1 to 255, separated by commas, such as 65,78",
  read: (text) => {
    const codes = text.split(",").map((code) => (/^ *\d{1,3} *$/.test(code) ? Number(code) : 0))
    return codes.every((code) => code >= 1 && code <= 255) ? codes : undefined
  }
}

/** An amount of money greater than zero, with or without a dollar sign. */
export const dollars: Kind<number> = {
  metavar: "USD",
  expected: "an amount in US dollars such as 2.50",
  read: (text) => {
    const value = /^\$?(\d+(?:\.\d+)?|\.\d+)$/.exec(text)?.[1]
    return value === undefined || Number(value) === 0 ? undefined : Number(value)
  }
}

/** A number from 0 to 1. */
export const share: Kind<number> = {
  metavar: "0..1",
  expected: "a number from 0 to 1 such as 0.8",
  read: (text) => (/^(?:0?\.\d+|0|1|1\.0+)$/.test(text) ? Number(text) : undefined)
}

/** A percentage, as a share between 0 and 1. */
export const percentage: Kind<number> = {
  metavar: "N%",
  expected: "a percentage such as 5%",
  read: (text) => {
    const [, digits] = /^(\d{1,3}(?:\.\d+)?)%$/.exec(text) ?? []
    const share = digits === undefined ? 0 : Number(digits) / 100
    return share > 0 && share <= 1 ? share : undefined
  }
}

/** Which outputs people review: all, those a verifier is unsure about, or a share of them, from 0 to 1. */
export type ReviewedOutputs = "all" | "unsure" | number

/** Which outputs people review: `all`, `unsure` or a percentage. */
export const reviewedOutputs: Kind<ReviewedOutputs> = {
  metavar: "all|unsure|N%",
  expected: "all, unsure, or a percentage such as 5%",
  read: (text) => (text === "all" || text === "unsure" ? text : percentage.read(text))
}

const millis = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

const isUnit = (unit: string | undefined): unit is keyof typeof millis => unit !== undefined && unit in millis

/** A duration such as `500ms`, `30s`, `10m`, `8h`, `2d` or `1h30m`. The unit is required. */
export const duration = (minimum: Duration.Input = 0): Kind<Duration.Duration> => {
  const atLeast = Duration.toMillis(minimum)
  return {
    metavar: "DURATION",
    expected:
      "a duration such as 500ms, 30s, 10m or 8h" +
      (atLeast > 0 ? `, of at least ${Duration.format(Duration.millis(atLeast))}` : ""),
    read: (text) => {
      if (!/^(?:\d+(?:\.\d+)?(?:ms|[smhd]))+$/.test(text)) return undefined
      let sum = 0
      for (const [, amount, unit] of text.matchAll(/([\d.]+)([a-z]+)/g)) {
        if (isUnit(unit)) sum += Number(amount) * millis[unit]
      }
      return sum < atLeast ? undefined : Duration.millis(sum)
    }
  }
}

/** A port; 0 stands for any free one. */
export const port: Kind<number> = {
  metavar: "PORT",
  expected: "a port from 0 to 65535",
  read: (text) => (/^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined)
}

/** The address that a server listens on. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** A port of this machine, or an address and a port: `9464`, `0.0.0.0:9464`, `[::1]:9464`. */
export const address: Kind<Address> = {
  metavar: "[HOST:]PORT",
  expected: "a port such as 9464, or an address and a port such as 0.0.0.0:9464",
  read: (text) => {
    const [, bracketed, plain, digits = ""] = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text) ?? []
    const port = digits === "" ? Infinity : Number(digits)
    return port > 65_535 ? undefined : { host: bracketed ?? plain ?? "127.0.0.1", port }
  }
}

/** The address at which other machines reach this process. */
export const reachableAddress: Kind<Address> = {
  metavar: "[HOST:]PORT",
  expected:
    "the address and port at which other machines reach this process, such as 10.0.0.7:4001, or a port if all processes are on this machine",
  read: (text) => {
    const found = address.read(text)
    return found === undefined || ["0.0.0.0", "::"].includes(found.host) ? undefined : found
  }
}

/** Names, separated by commas. */
export const names = (metavar: string, expected: string): Kind<ReadonlyArray<string>> => ({
  metavar,
  expected,
  read: (text) => {
    const found = text.split(",").map((name) => name.trim())
    return found.every((name) => name !== "") ? found : undefined
  }
})

/** Some of several names, separated by commas. */
export const someOf = <const Name extends string>(...known: ReadonlyArray<Name>): Kind<ReadonlyArray<Name>> => ({
  metavar: known.join(","),
  expected: `names separated by commas: ${known.join(", ")}`,
  read: (text) => {
    const found = text.split(",").map((name) => known.find((each) => each === name.trim()))
    return found.every((name) => name !== undefined) ? found : undefined
  }
})

/** A URL of a web server. */
export const url: Kind<string> = {
  metavar: "URL",
  expected: "a URL that begins with https:// or http://",
  read: (text) => (/^https?:/i.test(text) && URL.canParse(text) ? text : undefined)
}

/** A JSONPath of RFC 9535. */
export const jsonPath: Kind<string> = {
  metavar: "JSONPATH",
  expected: "a JSONPath such as '$.total_cost_usd' or '$..part.cost'",
  // Parsed where it is used: the parser is too large to load it for every command.
  read: (text) => (text.startsWith("$") ? text : undefined)
}

/** One of several names. */
export const oneOf = <const Name extends string>(...names: readonly [Name, ...ReadonlyArray<Name>]): Kind<Name> => ({
  metavar: names.join("|"),
  names,
  expected: names.length === 1 ? names[0] : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`,
  read: (text) => names.find((name) => name === text)
})
