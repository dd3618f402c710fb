/**
 * The settings of Baton. Each one is declared here once. Its flag, its environment variable, its type in `baton.config.ts`,
 * its validation and its line in `docs/cli.md` follow from this table.
 */
import * as Kind from "../system/Kind.ts"

/** The commands that take settings. `run` stands for `baton run`, `baton worker` and `baton plan`, which take the same ones. */
export type TakenBy = "every command" | "run" | "worker" | "verify" | "doctor" | "status" | "serve" | "mcp"

/** The headings that the help shows some settings under. */
export const groupTitles = {
  limits: "Limits",
  claude: "Flags for --executor and --verifier claude or openai",
  claudeCode: "Flags for --executor claude-code, which also takes --model, --effort and --system",
  hooks: "Notifications"
} as const

export type Group = keyof typeof groupTitles

export interface Setting<A = unknown> {
  /** How a value is written and read. */
  readonly kind: Kind.Kind<A>
  readonly help: string
  /** The default value, as text. */
  readonly default?: string
  /** Describes what happens without a value. */
  readonly otherwise?: string
  /** A short name for the flag. */
  readonly alias?: string
  readonly group?: Group
  /** The commands that take the setting; `run` if left out. */
  readonly takenBy?: ReadonlyArray<TakenBy>
  /** False if the configuration file cannot contain the setting. */
  readonly inFile?: false
}

const model = Kind.text("MODEL", "the name of a model")
const file = Kind.text("FILE", "the path of a file")
const command = Kind.text("CMD", "a command line")

const reportExtensions = [".html", ".htm", ".md", ".markdown", ".txt"]

const everywhere = ["every command"] as const
const runAndDoctor = ["run", "doctor"] as const
const worker = ["worker"] as const
const serve = ["serve"] as const
const serveAndMcp = ["serve", "mcp"] as const
const runAndVerify = ["run", "verify"] as const
const verifying = ["run", "verify", "doctor"] as const

/** The settings, in the order of the help. */
export const settings = {
  store: {
    kind: Kind.text("URL", "the URL of a store, such as sqlite:PATH"),
    help: "The store of the tasks: sqlite:PATH, json:PATH, postgres://…, redis://…, or memory: for a run that stores nothing",
    default: "sqlite:.baton/baton.db",
    takenBy: everywhere
  },
  queue: {
    kind: Kind.queue,
    help: "Work on this queue of the store; a queue is a list of tasks that run together",
    otherwise: "the queue named after the source, or the only queue",
    takenBy: everywhere
  },
  configFile: {
    kind: Kind.text("FILE", "the path of a configuration file"),
    help: "The configuration file",
    otherwise: "baton.config.ts, if it exists",
    takenBy: everywhere,
    inFile: false
  },
  profile: {
    kind: Kind.text("NAME", "the name of a profile in the configuration file"),
    help: "Apply this profile of the configuration file over its other settings",
    takenBy: everywhere,
    inFile: false
  },
  logLevel: {
    kind: Kind.oneOf("trace", "debug", "info", "warn", "error", "none"),
    help: "The lowest level of messages to log",
    default: "info",
    takenBy: everywhere
  },
  logFormat: {
    kind: Kind.oneOf("human", "json"),
    help: "The format of log messages, on standard error",
    default: "human",
    takenBy: everywhere
  },

  exec: {
    kind: command,
    help: "Run this program for each task: description on stdin, output from stdout; no shell is started",
    takenBy: runAndDoctor
  },
  shell: {
    kind: command,
    help: "The same in a shell, for pipes and redirections; a pipe fails if any of its commands fails (pipefail)",
    takenBy: runAndDoctor
  },
  executor: {
    kind: Kind.oneOf("fake", "claude", "claude-code", "openai", "config"),
    help: "Use this executor instead of a command",
    takenBy: runAndDoctor
  },
  verify: {
    kind: command,
    help: "Verify each output with this program: output on stdin; exit code 0 accepts, otherwise its output is the feedback",
    takenBy: verifying
  },
  verifier: {
    kind: Kind.oneOf("always-pass", "claude", "openai", "config"),
    help: "Use this verifier instead of a command",
    takenBy: verifying
  },
  review: {
    kind: Kind.reviewedOutputs,
    help: "Let people decide about accepted outputs: about all of them, about a random share such as 5%, or about outputs, accepted or not, whose verifier is less than 80% sure; decide with baton review"
  },
  maxInReview: {
    kind: Kind.count(1),
    help: "Start no task while this many tasks of the queue wait for review, until people have decided"
  },
  audit: {
    kind: Kind.percentage,
    help: "Choose this share of the tasks, by their ids, for an audit: people look at their verdicts with baton audit, and nothing waits for them"
  },
  maxFalseAccept: {
    kind: Kind.percentage,
    help: "Stop when people have rejected too many of the accepted outputs that they audited: when the lower bound of the 95% interval of their share exceeds this; requires --audit",
    group: "limits"
  },
  noVerify: { kind: Kind.onOff, help: "Accept every output without a warning", takenBy: runAndDoctor },
  concurrency: {
    kind: Kind.count(1),
    help: "The number of tasks to run at the same time",
    default: "4",
    alias: "j",
    takenBy: runAndVerify
  },
  maxPerKey: {
    kind: Kind.count(1),
    help: "The number of tasks with the same concurrency key to run at the same time, in all runs on this queue together",
    default: "1"
  },
  prefetch: {
    kind: Kind.count(1),
    help: "Claim this many tasks ahead, however long they then wait",
    otherwise: "only tasks of milliseconds, as many as start within 50 ms"
  },

  maxAttempts: {
    kind: Kind.count(1),
    help: "Attempts per task, including the first, before it goes to the dead-letter queue",
    default: "3",
    group: "limits"
  },
  timeout: {
    kind: Kind.duration("10 millis"),
    help: "The maximum duration of one attempt; with Claude, of one request",
    default: "10m",
    group: "limits"
  },
  idleTimeout: {
    kind: Kind.duration("10 millis"),
    help: "The maximum time that a command may print nothing",
    otherwise: "no limit",
    group: "limits",
    takenBy: runAndVerify
  },
  verifyTimeout: {
    kind: Kind.duration("10 millis"),
    help: "The maximum duration of one verification",
    default: "5m",
    group: "limits",
    takenBy: runAndVerify
  },
  maxIterations: { kind: Kind.count(1), help: "Stop the run after this number of attempts", group: "limits" },
  maxConsecutiveFailures: {
    kind: Kind.count(1),
    help: "Stop the run after this number of failed attempts in a row",
    group: "limits"
  },
  noBreaker: {
    kind: Kind.onOff,
    help: "Continue a run whose first ten attempts all fail; otherwise they stop it, unless --max-consecutive-failures is set",
    group: "limits"
  },
  maxCost: {
    kind: Kind.dollars,
    help: "Stop before the queue costs more than this, in all its runs and workers together; the store keeps the limit",
    group: "limits"
  },
  maxTokens: {
    kind: Kind.count(1),
    help: "Stop before the queue uses more tokens than this, in all its runs and workers together",
    group: "limits"
  },
  maxCostPerRun: {
    kind: Kind.dollars,
    help: "Stop this run before it costs more than this",
    group: "limits",
    takenBy: runAndVerify
  },
  maxTokensPerRun: {
    kind: Kind.count(1),
    help: "Stop this run before it uses more tokens than this",
    group: "limits",
    takenBy: runAndVerify
  },
  maxCostPerTask: {
    kind: Kind.dollars,
    help: "Give up on a task before its attempts together cost more than this",
    group: "limits"
  },
  maxTokensPerTask: {
    kind: Kind.count(1),
    help: "Give up on a task before its attempts together use more tokens than this",
    group: "limits"
  },
  maxDuration: {
    kind: Kind.duration("10 millis"),
    help: "Stop the run after this time",
    group: "limits",
    takenBy: runAndVerify
  },

  permanentExitCodes: {
    kind: Kind.exitCodes,
    help: "Exit codes of --exec or --shell that end the attempts of a task, such as 65,78; code 75 always means a temporary failure, which is retried within the attempt"
  },
  resultFrom: {
    kind: Kind.jsonPath,
    help: "The text to keep of a JSON output of --exec or --shell, such as '$.response'; several texts are joined by line breaks"
  },
  costFrom: {
    kind: Kind.jsonPath,
    help: "The cost in US dollars in a JSON output of --exec or --shell, such as '$..part.cost'; several numbers are added up"
  },
  keepOutputs: {
    kind: Kind.onOff,
    help: "Verify stored outputs that another command or model made; otherwise their tasks are executed again"
  },
  retryDelay: {
    kind: Kind.duration(),
    help: "The delay before the second attempt; it doubles with each further attempt, up to 5 minutes or this delay",
    default: "1s"
  },
  pauseBetweenTasks: {
    kind: Kind.duration(),
    help: "The time that each of the -j workers waits after a task",
    otherwise: "no pause"
  },
  drainTimeout: {
    kind: Kind.duration(),
    help: "The time that running tasks have to finish when the run stops",
    default: "30s",
    takenBy: runAndVerify
  },
  lease: {
    kind: Kind.duration("1 second"),
    help: "The time after which another worker takes over the tasks of a worker that died",
    default: "30s"
  },
  onCrash: {
    kind: Kind.oneOf("retry", "dead-letter"),
    help: "What to do with a task whose worker died; dead-letter is for work that must not run twice",
    default: "retry"
  },
  onDependencyFailed: {
    kind: Kind.oneOf("wait", "cancel", "fail"),
    help: "What to do with the tasks that depend on a failed one: wait until it is requeued and completes, cancel them, or fail them too",
    default: "wait"
  },
  onUsageLimit: {
    kind: Kind.oneOf("wait", "stop"),
    help: "What to do at a usage limit that ends by itself: wait pauses the queue until then, for all workers; stop ends the run",
    default: "wait"
  },

  batch: {
    kind: Kind.onOff,
    help: "Send requests in batches, at half the price; answers arrive within a day. The default of -j is then 10000",
    group: "claude"
  },
  model: {
    kind: model,
    help: "The model that does the tasks; openai has no default",
    default: "claude-sonnet-5-5",
    group: "claude",
    takenBy: runAndDoctor
  },
  fallbackModel: {
    kind: Kind.names("MODELS", "names of models, separated by commas"),
    help: "The models to ask, in this order, when a model refuses a task or an output, or is overloaded, separated by commas",
    otherwise: "none",
    group: "claude",
    takenBy: runAndVerify
  },
  judgeModel: {
    kind: model,
    help: "The model that checks the outputs; openai has no default",
    default: "claude-haiku-5-5",
    group: "claude",
    takenBy: verifying
  },
  baseUrl: {
    kind: Kind.url,
    help: "The server of --executor and --verifier openai, such as http://localhost:11434/v1 for Ollama",
    otherwise: "OPENAI_BASE_URL, or OpenAI's API",
    group: "claude",
    takenBy: verifying
  },
  system: { kind: Kind.text("TEXT", "instructions"), help: "Instructions for every task", group: "claude" },
  systemFile: { kind: file, help: "A file with instructions for every task", group: "claude" },
  criteria: {
    kind: Kind.text("TEXT", "criteria for the outputs"),
    help: "Criteria for the judge, in addition to the description of the task",
    group: "claude",
    takenBy: runAndVerify
  },
  confirm: {
    kind: Kind.count(0),
    help: "The number of times to ask the judge again before an output is rejected; the majority decides",
    default: "0",
    group: "claude",
    takenBy: runAndVerify
  },
  minConfidence: {
    kind: Kind.share,
    help: "Reject outputs that the judge accepts with a lower confidence",
    group: "claude",
    takenBy: runAndVerify
  },
  maxOutputTokens: {
    kind: Kind.count(1),
    help: "The maximum length of an output in tokens; budgets and rate limits count all of it, so set it close to the expected length",
    default: "8192",
    group: "claude"
  },
  effort: {
    kind: Kind.oneOf("low", "medium", "high", "xhigh", "max"),
    help: "The effort of the model",
    otherwise: "the model's default",
    group: "claude"
  },
  webSearch: {
    kind: Kind.count(1),
    help: "Let Claude search the web, at most this many times in a request; each search costs $0.01 besides its tokens",
    otherwise: "no search",
    group: "claude"
  },
  webFetch: {
    kind: Kind.count(1),
    help: "Let Claude read pages and PDFs of the web, at most this many in a request",
    otherwise: "none",
    group: "claude"
  },
  codeExecution: {
    kind: Kind.onOff,
    help: "Let Claude run code in a sandbox of its API; without --web-search and --web-fetch, this costs $0.0042 or more a request",
    group: "claude"
  },
  outputSchema: {
    kind: file,
    help: "A file with a JSON Schema; the model answers in JSON, and each answer is checked against it",
    group: "claude"
  },
  prices: {
    kind: file,
    help: "A JSON file with prices of models, for models that the price list does not have or that are outdated",
    group: "claude",
    takenBy: runAndVerify
  },
  noCache: {
    kind: Kind.onOff,
    help: "Do not use cached responses; otherwise responses are stored in a file next to the store and paid for once",
    group: "claude",
    takenBy: runAndVerify
  },
  rpm: {
    kind: Kind.count(1),
    help: "The maximum number of requests per minute to each model, in all workers of a store together",
    otherwise: "the server's limit",
    group: "claude",
    takenBy: runAndVerify
  },
  inputTpm: {
    kind: Kind.count(1),
    help: "The maximum number of input tokens per minute",
    group: "claude",
    takenBy: runAndVerify
  },
  outputTpm: {
    kind: Kind.count(1),
    help: "The maximum number of output tokens per minute",
    group: "claude",
    takenBy: runAndVerify
  },

  permissionMode: {
    kind: Kind.text("MODE", "a permission mode of Claude Code"),
    help: "What Claude Code may do without asking: acceptEdits, auto, bypassPermissions, dontAsk, manual, plan",
    otherwise: "Claude Code's default",
    group: "claudeCode"
  },
  allowedTools: {
    kind: Kind.text("TOOLS", "names of tools, such as 'Edit,Bash(npm test *)'"),
    help: "The tools that Claude Code may use without asking, such as 'Edit,Bash(npm test *)'",
    group: "claudeCode"
  },
  cwd: {
    kind: Kind.text("DIR", "the path of a directory"),
    help: "The directory that Claude Code works in",
    group: "claudeCode"
  },
  maxTurns: { kind: Kind.count(1), help: "The maximum number of turns of one attempt", group: "claudeCode" },
  maxCostPerAttempt: {
    kind: Kind.dollars,
    help: "End a session after the turn in which it costs more than this; with --cost-from, what an attempt can cost. A limit of the cost requires it",
    group: "claudeCode"
  },

  onStart: {
    kind: command,
    help: "Run this program when the run starts: the event as JSON on stdin",
    group: "hooks",
    takenBy: runAndDoctor
  },
  onRetry: {
    kind: command,
    help: "Run this program for each attempt that fails and is followed by another, with BATON_TASK_ID and BATON_FEEDBACK",
    group: "hooks",
    takenBy: runAndDoctor
  },
  onComplete: {
    kind: command,
    help: "Run this program for each completed task: the event as JSON on stdin, BATON_TASK_ID in its environment",
    group: "hooks",
    takenBy: runAndDoctor
  },
  onFail: {
    kind: command,
    help: "Run this program for each task that goes to the dead-letter queue, with BATON_FEEDBACK in addition",
    group: "hooks",
    takenBy: runAndDoctor
  },
  onEnd: {
    kind: command,
    help: "Run this program when the run has ended, with BATON_STOP_REASON",
    group: "hooks",
    takenBy: runAndDoctor
  },
  webhook: {
    kind: Kind.url,
    help: "Post these events to this URL as JSON, signed with BATON_WEBHOOK_SECRET according to Standard Webhooks",
    group: "hooks",
    takenBy: runAndDoctor
  },

  notify: {
    kind: Kind.url,
    help: "Post one message to this URL when the run has ended: its result, cost, duration, and the cause of a stop",
    group: "hooks",
    takenBy: runAndDoctor
  },
  notifyFormat: {
    kind: Kind.oneOf("slack", "discord", "json"),
    help: "The format of that message",
    otherwise: "that of the URL's host, or json",
    group: "hooks"
  },

  report: {
    kind: Kind.file(reportExtensions),
    help: "Write a report on all tasks of the run to this file when the run has ended (.html, .md or .txt)"
  },
  port: {
    kind: Kind.port,
    help: "The port that the server listens on; 0 takes a free one",
    default: "7777",
    takenBy: serve
  },
  host: {
    kind: Kind.text("HOST", "an address or a name of this machine"),
    help: "The address that the server listens on; any address that other machines can reach requires --token-file",
    default: "127.0.0.1",
    takenBy: serve
  },
  readOnly: { kind: Kind.onOff, help: "Refuse every change", takenBy: serveAndMcp },
  allow: {
    kind: Kind.someOf("review", "budget"),
    help: "What agents may do through MCP besides adding and requeuing tasks: decide about outputs in review, set budgets",
    otherwise: "neither",
    takenBy: serveAndMcp
  },
  tokenFile: {
    kind: file,
    help: "A file of tokens, one of which every request to the server has to carry: each line is a role (view, review or operate) and a token of at least 16 characters",
    takenBy: serve
  },

  workflows: {
    kind: Kind.onOff,
    help: "Execute the workflows of the configuration file instead of tasks; the workers of their queues are part of it, or other workers",
    takenBy: worker,
    inFile: false
  },
  workflowAddress: {
    kind: Kind.reachableAddress,
    help: "With --workflows and a store on PostgreSQL: the address at which the other workers with workflows reach this one; each has its own",
    takenBy: worker
  },

  noRedact: {
    kind: Kind.onOff,
    help: "Keep secrets in metadata, feedback and errors, instead of replacing them with [redacted]",
    takenBy: runAndVerify
  },
  output: {
    kind: Kind.oneOf("human", "ndjson"),
    help: "The format of standard output; ndjson prints every event as one line of JSON",
    default: "human"
  },
  metricsPort: {
    kind: Kind.address,
    help: "Serve Prometheus metrics at /metrics; only this machine can read them, unless a host is given"
  },
  plain: {
    kind: Kind.onOff,
    help: "Print progress as occasional lines of text instead of a live view, for screen readers",
    takenBy: ["run", "verify", "status"]
  },
  quiet: {
    kind: Kind.onOff,
    help: "Print only errors and the limit that stopped the run: no progress and no summary",
    alias: "q",
    takenBy: runAndVerify
  }
} as const satisfies Readonly<Record<string, Setting>>

type Table = typeof settings

/** The name of a setting, as `baton.config.ts` uses it. */
export type SettingName = keyof Table

/** The value of a setting. */
export type ValueOf<Name extends SettingName> = Table[Name]["kind"] extends Kind.Kind<infer A> ? A : never

/** The names of the settings that a command takes. */
export type NamesFor<Command extends TakenBy> = {
  [Name in SettingName]: Table[Name] extends { readonly takenBy: ReadonlyArray<infer Taker> }
    ? Command extends Taker
      ? Name
      : never
    : Command extends "run"
      ? Name
      : never
}[SettingName]

/** The settings by name. */
export const settingOf = (name: SettingName): Setting => settings[name]

const isName = (key: string): key is SettingName => Object.hasOwn(settings, key)

/** All names, in the order of the table. */
export const settingNames: ReadonlyArray<SettingName> = Object.keys(settings).filter(isName)

/** The setting that a key of the configuration file names. */
export const settingInFile = (key: string): Setting | undefined => {
  const setting = isName(key) ? settingOf(key) : undefined
  return setting?.inFile === false ? undefined : setting
}

/** `maxAttempts` becomes `max-attempts`: the name of its flag, without the dashes. */
export const flagName = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/** `maxAttempts` becomes `BATON_MAX_ATTEMPTS`: its environment variable. */
export const variableName = (name: string): string => `BATON_${flagName(name).toUpperCase().replaceAll("-", "_")}`
