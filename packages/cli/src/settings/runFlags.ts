/**
 * The flags of `baton run` and `baton worker`.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import type * as Command from "effect/cli/Command"
import { executors, verifiers } from "../run/executors.ts"
import { Format } from "../sources/Format.ts"
import { claudeCodeFlags } from "./claudeCodeFlags.ts"
import { claudeFlags } from "./claudeFlags.ts"
import { given, toggle, value } from "./envFlag.ts"
import type { FlagGroup } from "./flagGroups.ts"
import { hookFlags } from "./hookFlags.ts"
import * as Kind from "./Kind.ts"
import * as ownFlag from "./ownFlag.ts"

const command = Kind.text("CMD", "a command line")

const limitFlags = {
  maxAttempts: value("max-attempts", Kind.count(1), {
    description: "Attempts per task, the first included, before it goes to the dead-letter queue",
    default: "3"
  }),
  timeout: value("timeout", Kind.duration("10 millis"), {
    description: "The longest that one attempt may take; with Claude, one request",
    default: "10m"
  }),
  idleTimeout: value("idle-timeout", Kind.duration("10 millis"), {
    description: "The longest that a command may print nothing",
    default: "no limit"
  }),
  verifyTimeout: value("verify-timeout", Kind.duration("10 millis"), {
    description: "The longest that one verification may take",
    default: "5m"
  }),
  maxIterations: value("max-iterations", Kind.count(1), { description: "Stop the run after so many attempts" }),
  maxConsecutiveFailures: value("max-consecutive-failures", Kind.count(1), {
    description: "Stop the run after so many failed attempts with no success in between"
  }),
  maxCost: given("max-cost", Kind.dollars, { description: "Stop the run before it costs more" }),
  maxTokens: given("max-tokens", Kind.count(1), { description: "Stop the run before it uses more tokens" }),
  maxCostPerTask: given("max-cost-per-task", Kind.dollars, {
    description: "Give a task up before all its attempts together cost more"
  }),
  maxTokensPerTask: given("max-tokens-per-task", Kind.count(1), { description: "The same for tokens" }),
  maxDuration: value("max-duration", Kind.duration("10 millis"), { description: "Stop the run after this long" })
}

/**
 * What does the work and what checks it, the limits of both, and what is shown.
 *
 * @category flags
 * @since 0.1.0
 */
export const runFlags = {
  exec: given("exec", command, {
    description: "Run this program for each task: the description on stdin, the output from stdout; no shell is started"
  }),
  shell: given("shell", command, { description: "The same, in a shell: for pipes and redirections" }),
  executor: given("executor", Kind.names(executors), { description: "Use this executor in place of a command" }),
  verify: given("verify", command, {
    description:
      "Check each output with this program: the output on stdin; exit code 0 accepts, what it prints is the feedback"
  }),
  verifier: given("verifier", Kind.names(verifiers), { description: "Use this verifier in place of a command" }),
  noVerify: toggle("no-verify", { description: "Accept every output; says that this is meant" }),
  concurrency: value("concurrency", Kind.count(1), { description: "Tasks at the same time", default: "4", alias: "j" }),
  prefetch: value("prefetch", Kind.count(1), {
    description: "Tasks claimed ahead; raise it for tasks of milliseconds",
    default: "the concurrency"
  }),
  ...limitFlags,
  retryDelay: value("retry-delay", Kind.duration(), {
    description: "The wait before the second attempt; it doubles with each further one",
    default: "1s"
  }),
  drainTimeout: value("drain-timeout", Kind.duration(), {
    description: "How long running tasks may go on once the run has to stop",
    default: "30s"
  }),
  lease: value("lease", Kind.duration("1 second"), {
    description: "A task whose worker died is taken over after this long",
    default: "30s"
  }),
  onCrash: value("on-crash", Kind.oneOf("retry", "dead-letter"), {
    description: "What becomes of a task whose worker died; dead-letter is for work that must not run twice",
    default: "retry"
  }),
  ...claudeFlags,
  ...claudeCodeFlags,
  ...hookFlags,
  noRedact: toggle("no-redact", {
    description: "Keep secrets that are found in metadata, feedback and errors, in place of [redacted]"
  }),
  output: value("output", Kind.oneOf("human", "ndjson"), {
    description: "ndjson prints every event on stdout, a JSON object a line",
    default: "human"
  }),
  metricsPort: value("metrics-port", Kind.address, {
    description: "Serve metrics to Prometheus at /metrics, on this machine only unless a host is given"
  }),
  json: ownFlag.toggle("json", "Print one JSON object on stdout at the end"),
  plain: toggle("plain", {
    description: "Progress as lines of text, one every now and then, in place of a live view: for screen readers"
  }),
  quiet: toggle("quiet", { description: "No progress and no summary, only what went wrong", alias: "q" })
}

/**
 * What `baton run` takes besides: where the tasks come from.
 *
 * @category flags
 * @since 0.1.0
 */
export const sourceFlags = {
  sources: Argument.String("SOURCE").pipe(
    Argument.withDescription("Files with tasks (.jsonl, .json, .csv, .tsv, .yaml, .md, .txt); - is standard input"),
    Argument.variadic({ min: 0 })
  ),
  template: ownFlag.value(
    "template",
    Kind.text("TEXT", "a text with the names of columns in it, such as 'Summarise {{title}}'"),
    "Build each description from its record, such as 'Summarise {{title}}'"
  ),
  format: ownFlag.value("format", Kind.oneOf(...Format.literals), "Read all sources so, whatever their names say")
}

/**
 * The flags that the help shows under a title of their own.
 *
 * @category flags
 * @since 0.1.0
 */
export const flagGroups: ReadonlyArray<FlagGroup> = [
  { title: "Limits", keys: Object.keys(limitFlags) },
  { title: "Flags for --executor claude and --verifier claude", keys: Object.keys(claudeFlags) },
  {
    title: "Flags for --executor claude-code, which takes --model, --effort and --system as well",
    keys: Object.keys(claudeCodeFlags)
  },
  { title: "Who else hears of it", keys: Object.keys(hookFlags) }
]

/** @since 0.1.0 */
export type SourceFlags = Command.Command.Config.Infer<typeof sourceFlags>

/** @since 0.1.0 */
export type RunFlags = Command.Command.Config.Infer<typeof runFlags>
