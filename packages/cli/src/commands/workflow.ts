/** `baton workflow` */
import { TaskStatus } from "@baton/core/Task"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as options from "../settings/commandFlags.ts"
import * as Kind from "../system/Kind.ts"
import * as store from "../run/stores.ts"

const handlers = Effect.promise(() => import("../run/executions.ts"))

const nameKind = Kind.text("NAME", "the name of a workflow with its version, such as Nightly/1")

const start = Command.make(
  "start",
  {
    name: options.argument(nameKind, "The workflow, as in Workflow.make of the configuration file"),
    payload: options.value("payload", Kind.text("JSON", "a JSON object"), "The payload (default {})"),
    json: options.json
  },
  (input) => Effect.flatMap(handlers, ({ start }) => start(input))
).pipe(
  Command.withDescription(
    "Start an execution of a workflow of the configuration file, and print its id. A worker with --workflows executes it. Starting it again with the same payload starts nothing."
  ),
  Command.withShortDescription("Start an execution"),
  Command.withExamples([
    { command: `baton workflow start Nightly/1 --payload '{"date":"2026-11-30"}'`, description: "Start a workflow" }
  ]),
  Command.provide(store.layer)
)

const list = Command.make(
  "list",
  {
    name: Argument.String("NAME").pipe(Argument.withDescription("Only executions of this workflow"), Argument.optional),
    status: options.value("status", Kind.oneOf(...TaskStatus.literals), "Only executions with this status"),
    json: options.json
  },
  (input) => Effect.flatMap(handlers, ({ list }) => list(input))
).pipe(
  Command.withDescription("List the executions of workflows in the store, in the order in which they were started."),
  Command.withShortDescription("List executions"),
  Command.withExamples([
    { command: "baton workflow list", description: "List all executions" },
    { command: "baton workflow list Nightly/1 --status failed", description: "List the failed ones of a workflow" }
  ]),
  Command.provide(store.layerAllQueues)
)

const id = options.argument(
  Kind.text("ID", "the id of an execution, as `baton workflow list` shows it"),
  "The execution, or the beginning of its id"
)

const show = Command.make("show", { id, json: options.json }, (input) =>
  Effect.flatMap(handlers, ({ show }) => show(input))
).pipe(
  Command.withDescription(
    "Show an execution of a workflow: its payload, its steps that are tasks, what it waits for, and its result."
  ),
  Command.withShortDescription("Show an execution and its steps"),
  Command.withExamples([{ command: "baton workflow show 8f3a5c21d07e", description: "Show an execution" }]),
  Command.provide(store.layerAllQueues)
)

const cancel = Command.make("cancel", { id }, (input) => Effect.flatMap(handlers, ({ cancel }) => cancel(input))).pipe(
  Command.withDescription(
    "Cancel an execution of a workflow and the tasks of its steps. Those that wait for a review are given up."
  ),
  Command.withShortDescription("Cancel an execution"),
  Command.withExamples([{ command: "baton workflow cancel 8f3a5c21d07e", description: "Cancel an execution" }]),
  Command.provide(store.layerAllQueues)
)

/** Starts, shows and cancels executions of workflows. */
export const workflow = Command.make("workflow").pipe(
  Command.withDescription(
    "Start executions of the workflows of the configuration file, and look after them. `baton worker --workflows` executes them."
  ),
  Command.withShortDescription("Start and show executions of workflows"),
  Command.withSubcommands([start, list, show, cancel])
)
