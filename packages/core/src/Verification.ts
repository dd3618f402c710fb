/**
 * A verifier's verdict on one output.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Confidence } from "./Execution.ts"
import { optionalNullOr } from "./OptionalKey.ts"
import { Usage } from "./Usage.ts"

/**
 * What a person decided about an output in review.
 *
 * @category models
 * @since 0.2.0
 */
export const Decision = Schema.Struct({
  kind: Schema.Literals(["approved", "rejected", "edited", "expired"]),
  /** The person. */
  by: Schema.String,
  at: Schema.DateTimeUtcFromString,
  /** For the next attempt, if the output was rejected. */
  comment: Schema.String,
  /** The output before it was edited. */
  output: Schema.optionalKey(Schema.String)
})

/**
 * The most characters that a person's comment has. Interfaces for people refuse longer ones: a comment becomes part of a prompt.
 *
 * @category configuration
 * @since 0.2.0
 */
export const maxComment = 65_536

/** @since 0.2.0 */
export interface Decision extends Schema.Schema.Type<typeof Decision> {}

/**
 * What a person says about a verdict, in an audit. It changes nothing about the task.
 *
 * @category models
 * @since 0.2.0
 */
export const AuditFinding = Schema.Struct({
  /** Whether the person would have decided as the verifier did. */
  agrees: Schema.Boolean,
  /** The person. */
  by: Schema.String,
  at: Schema.DateTimeUtcFromString,
  comment: Schema.String
})

/** @since 0.2.0 */
export interface AuditFinding extends Schema.Schema.Type<typeof AuditFinding> {}

/**
 * Whether an output does what its task asks, and the reasons if it does not.
 *
 * @category models
 * @since 0.1.0
 */
export const Verification = Schema.Struct({
  passed: Schema.Boolean,
  /** The verifier's confidence in its own verdict. */
  confidence: Confidence,
  /** For the next attempt, if this one is rejected. */
  feedback: Schema.String,
  issues: Schema.Array(Schema.String),
  /** Tokens and cost of the verification; absent when the verifier does not meter them. */
  usage: optionalNullOr(Usage),
  /** The models that judged, if models did. */
  models: Schema.optionalKey(Schema.Array(Schema.String)),
  /** What the models judged by in addition to the task, if anything; the beginning of a long text. */
  criteria: Schema.optionalKey(Schema.String),
  /** Why a person has to decide. The task is then sent to review, whether the verifier accepts the output or not. */
  review: Schema.optionalKey(Schema.String),
  /** The decision of a person, which counts more than `passed`. */
  decision: Schema.optionalKey(Decision),
  /** What a person said about the verdict in an audit. */
  audit: Schema.optionalKey(AuditFinding)
})

/** @since 0.1.0 */
export interface Verification extends Schema.Schema.Type<typeof Verification> {}

/**
 * A verdict that accepts the output.
 *
 * @category constructors
 * @since 0.1.0
 */
export const pass = (options?: Partial<Omit<Verification, "passed">>): Verification =>
  verdict(true, options?.feedback ?? "", options)

/**
 * A verdict that rejects the output and says why.
 *
 * @category constructors
 * @since 0.1.0
 */
export const reject = (feedback: string, options?: Partial<Omit<Verification, "passed" | "feedback">>): Verification =>
  verdict(false, feedback, options)

const verdict = (
  passed: boolean,
  feedback: string,
  { confidence = 1, issues = [], models, usage }: Partial<Verification> = {}
): Verification => ({
  passed,
  confidence,
  feedback,
  issues,
  ...(usage === undefined ? undefined : { usage }),
  ...(models === undefined ? undefined : { models })
})

/**
 * A verdict that leaves the decision to a person: the task is sent to review.
 *
 * @category constructors
 * @since 0.2.0
 */
export const review = (reason: string, verification: Verification = reject("", { confidence: 0 })): Verification => ({
  ...verification,
  review: reason
})

/**
 * The models of several verdicts and their criteria, each of them once, as a part of a verdict.
 *
 * @category combinators
 * @since 0.1.0
 */
export const modelsOf = (verdicts: ReadonlyArray<Verification>): Pick<Verification, "models" | "criteria"> => {
  const models = [...new Set(verdicts.flatMap(({ models = [] }) => models))]
  const criteria = [...new Set(verdicts.flatMap(({ criteria = [] }) => criteria))]
  return {
    ...(models.length === 0 ? undefined : { models }),
    ...(criteria.length === 0 ? undefined : { criteria: criteria.join("\n") })
  }
}
