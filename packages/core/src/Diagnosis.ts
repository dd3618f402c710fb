/**
 * The result of checking a system that a run depends on: its store, its model, a program.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { optionalNullOr } from "./OptionalKey.ts"

/**
 * The result of one check. `warn`: the system works, but may not keep every guarantee. `fail`: a run cannot use it.
 *
 * @category models
 * @since 0.1.0
 */
export const Diagnosis = Schema.Struct({
  /** The name of the check, in a word or two: `appendonly`. */
  check: Schema.String,
  status: Schema.Literals(["ok", "warn", "fail"]),
  /** The finding. */
  message: Schema.String,
  /** How to fix it. Absent if there is nothing to fix. */
  fix: optionalNullOr(Schema.String)
})

/** @since 0.1.0 */
export interface Diagnosis extends Schema.Schema.Type<typeof Diagnosis> {}

/**
 * A check that passed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ok = (check: string, message: string): Diagnosis => ({ check, status: "ok", message })

/**
 * The system works, but may not keep every guarantee.
 *
 * @category constructors
 * @since 0.1.0
 */
export const warn = (check: string, message: string, fix: string): Diagnosis => ({
  check,
  status: "warn",
  message,
  fix
})

/**
 * A run cannot use the system.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fail = (check: string, message: string, fix: string): Diagnosis => ({
  check,
  status: "fail",
  message,
  fix
})
