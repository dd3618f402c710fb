/**
 * What a check of a system that a run depends on finds: its store, its model, a program.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * One thing that was looked at. `warn`: it works, and may not keep all that is promised. `fail`: a run cannot work with it.
 *
 * @category models
 * @since 0.1.0
 */
export const Diagnosis = Schema.Struct({
  /** What was looked at, in a word or two: `appendonly`. */
  check: Schema.String,
  status: Schema.Literals(["ok", "warn", "fail"]),
  /** What was found. */
  message: Schema.String,
  /** What to do about it; null where nothing is to be done. */
  fix: Schema.NullOr(Schema.String)
})

/** @since 0.1.0 */
export interface Diagnosis extends Schema.Schema.Type<typeof Diagnosis> {}

/**
 * All is well.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ok = (check: string, message: string): Diagnosis => ({ check, status: "ok", message, fix: null })

/**
 * It works, and may not keep all that is promised.
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
 * A run cannot work with it.
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
