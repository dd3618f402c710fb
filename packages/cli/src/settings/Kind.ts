/**
 * Kinds of value that a flag takes: how each is written, and what is said of one that is not.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"

/**
 * A kind of value.
 *
 * @category models
 * @since 0.1.0
 */
export interface Kind<A> {
  /** How the help shows it. */
  readonly metavar: string
  /** Completes the sentence "it takes ...". */
  readonly expected: string
  /** The value that a text stands for; undefined when it stands for none. */
  readonly read: (text: string) => A | undefined
}

/**
 * Any text that is not empty.
 *
 * @category constructors
 * @since 0.1.0
 */
export const text = (metavar: string, expected: string): Kind<string> => ({
  metavar,
  expected,
  read: (text) => (text.trim() === "" ? undefined : text)
})

/**
 * A whole number of at least `minimum`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const count = (minimum: number): Kind<number> => ({
  metavar: "N",
  expected: `a whole number of at least ${minimum}`,
  read: (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : undefined
    return value !== undefined && value >= minimum && Number.isSafeInteger(value) ? value : undefined
  }
})

/**
 * An amount of money, with or without a dollar sign.
 *
 * @category constructors
 * @since 0.1.0
 */
export const dollars: Kind<number> = {
  metavar: "USD",
  expected: "an amount in US dollars such as 2.50",
  read: (text) => {
    const value = /^\$?(\d+(?:\.\d+)?|\.\d+)$/.exec(text)?.[1]
    return value === undefined || Number(value) === 0 ? undefined : Number(value)
  }
}

/**
 * A share of the whole: a number from 0 to 1.
 *
 * @category constructors
 * @since 0.1.0
 */
export const share: Kind<number> = {
  metavar: "0..1",
  expected: "a number from 0 to 1 such as 0.8",
  read: (text) => (/^(?:0?\.\d+|0|1|1\.0+)$/.test(text) ? Number(text) : undefined)
}

const millis = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

const isUnit = (unit: string | undefined): unit is keyof typeof millis => unit !== undefined && unit in millis

/**
 * A duration: `500ms`, `30s`, `10m`, `8h`, `2d`, and several of them together, `1h30m`. The unit cannot be left out.
 *
 * @category constructors
 * @since 0.1.0
 */
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

/** Where a server listens. */
export interface Address {
  readonly host: string
  readonly port: number
}

/**
 * A port, on this machine only unless an address is in front of it: `9464`, `0.0.0.0:9464`, `[::1]:9464`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const address: Kind<Address> = {
  metavar: "[HOST:]PORT",
  expected: "a port such as 9464, or an address and a port such as 0.0.0.0:9464",
  read: (text) => {
    const [, bracketed, plain, digits = ""] = /^(?:(?:\[([^\]]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text) ?? []
    const port = digits === "" ? Infinity : Number(digits)
    return port > 65_535 ? undefined : { host: bracketed ?? plain ?? "127.0.0.1", port }
  }
}

/**
 * One of some names.
 *
 * @category constructors
 * @since 0.1.0
 */
export const oneOf = <const Name extends string>(...names: readonly [Name, ...ReadonlyArray<Name>]): Kind<Name> => ({
  metavar: names.join("|"),
  expected: enumerate(names),
  read: (text) => names.find((name) => name === text)
})

/**
 * The name of one of a record's members.
 *
 * @category constructors
 * @since 0.1.0
 */
export const names = <Name extends string>(members: Readonly<Record<Name, unknown>>): Kind<Name> => {
  const isName = (text: string): text is Name => Object.hasOwn(members, text)
  const all = Object.keys(members)
  return {
    metavar: all.join("|"),
    expected: enumerate(all),
    read: (text) => (isName(text) ? text : undefined)
  }
}

const enumerate = (names: ReadonlyArray<string>): string =>
  names.length === 1 ? `${names[0]}` : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`
