/** `baton worker --workflows`: executes the workflows of the configuration. */
import type { Executions } from "@baton/adapters/workflow"
import { TaskStore } from "@baton/core/TaskStore"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import { Project } from "../settings/Project.ts"
import { configured } from "./executions.ts"
import { StoreUrl, type WorkerFlags } from "../settings/flags.ts"
import { siblingFile } from "../settings/siblingFile.ts"
import { CommandFailed } from "../system/CommandFailed.ts"
import * as store from "./stores.ts"

/** Executes workflows until a signal or `baton stop`. */
export const work = Effect.fnUntraced(function* (flags: WorkerFlags) {
  const given = [flags.exec, flags.shell, flags.executor, flags.verify, flags.verifier].find(
    (given) => given?.origin === "flag"
  )
  if (given !== undefined) {
    return yield* new CommandFailed({
      message: `${given.by} and --workflows are both given. Workflows run in queues of their own names: remove ${given.by}, or start another \`baton worker\` with it.`
    })
  }
  const workflows = yield* configured
  const layer = yield* layerOf(workflows, flags)
  const running = Effect.gen(function* () {
    const tasks = yield* TaskStore
    const before = yield* tasks.control
    const names = workflows.names.join(", ")
    yield* Effect.logInfo(`Executing the workflows ${names}; stop with Ctrl-C`)
    const isStopped = Effect.map(tasks.control, ({ stops }) => stops > before.stops)
    const stopped = Effect.gen(function* () {
      let { revision } = before
      while (!(yield* isStopped)) ({ revision } = yield* tasks.awaitControl(revision))
    })
    yield* Layer.launch(layer).pipe(
      // Workers of queues end with an error when they are stopped.
      Effect.catchCause((cause) => Effect.flatMap(isStopped, (isStopped) => (isStopped ? Effect.void : failed(cause)))),
      Effect.raceFirst(stopped)
    )
  })
  yield* Effect.provide(running, store.layerPatient)
})

const failed = Effect.fnUntraced(function* (cause: Cause.Cause<unknown>) {
  if (Cause.hasInterruptsOnly(cause)) return yield* Effect.interrupt
  const error = Cause.squash(cause)
  const reason = Predicate.isError(error) ? error.message : String(error)
  const isOfEngine = Predicate.hasProperty(error, "_tag") && error._tag === "WorkflowsError"
  if (isOfEngine) return yield* new CommandFailed({ message: reason })
  const { name } = yield* Project
  const service = /^Service not found: (\S+)/.exec(reason)?.[1]
  return yield* new CommandFailed({
    message:
      service === undefined
        ? `\`workflows\` in ${name} ended: ${reason}`
        : `The layer of \`workflows\` in ${name} needs the service ${service}, which is missing. Provide the layer of the service to it with Layer.provide.`
  })
})

/** The workflows on the engine for the store: in a file next to one in a file, and in its database for one on PostgreSQL. */
const layerOf = Effect.fnUntraced(function* (workflows: Executions.Registered, { workflowAddress }: WorkerFlags) {
  const url = yield* StoreUrl
  const scheme = url.slice(0, Math.max(0, url.indexOf(":")))
  if (scheme === "sqlite") {
    const filename = siblingFile(url, "workflows")
    if (filename !== undefined) return workflows.layerSingle({ filename })
  }
  if (scheme === "postgres" || scheme === "postgresql") {
    if (workflowAddress !== undefined) return workflows.layerCluster({ url, ...workflowAddress.value })
    return yield* new CommandFailed({
      message:
        "--workflows on PostgreSQL needs the address at which the other workers with workflows reach this one. Add it, as in --workflow-address 10.0.0.7:4001."
    })
  }
  return yield* new CommandFailed({
    message: `--workflows needs a store in SQLite or on PostgreSQL, which keeps the steps of workflows. Choose one, as in --store sqlite:.baton/baton.db.`
  })
})
