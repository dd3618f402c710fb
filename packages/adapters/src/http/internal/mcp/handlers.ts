/** What the tools of the MCP server do: the operations of the API, and waiting. */
import * as Tasks from "@baton/core/Task"
import { type Counts, TaskStore } from "@baton/core/TaskStore"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import type * as AiTool from "effect/ai/Tool"
import { McpRequestContext } from "effect/ai/McpSchema"
import { McpServer } from "effect/ai/McpServer"
import * as Arr from "effect/Array"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { BadRequest, StoreUnusable } from "../../ApiError.ts"
import { ofContent } from "../../../internal/contentId.ts"
import { Caller } from "../middleware.ts"
import type { Decide } from "../model.ts"
import * as Operations from "../operations.ts"
import { read } from "../reading.ts"
import { limitOf } from "../settings.ts"
import { cut, listedTask } from "../views.ts"
import { limits, tools } from "./tools.ts"

export const layer: Layer.Layer<AiTool.HandlersFor<typeof tools.tools>, never, TaskStore | McpServer> = tools.toLayer(
  Effect.gen(function* () {
    const store = yield* TaskStore
    const { notifications } = yield* McpServer
    const operations = Operations.make(store)
    const { orRefused } = Operations

    /** The number of tasks per status, of a queue or of tasks. Tasks that have ended are not read again. */
    const counting = (queue: string | undefined, ids: ReadonlyArray<string>) => {
      const statuses = new Map<string, Tasks.TaskStatus>()
      return Effect.gen(function* (): Effect.fn.Return<Counts, TaskStoreError> {
        if (queue !== undefined) {
          return (yield* store.queues).find((counts) => counts.queue === queue) ?? none
        }
        const open = ids.filter((id) => {
          const status = statuses.get(id)
          return status === undefined || !Tasks.isTerminal(status)
        })
        const tasks = yield* Effect.forEach(open, store.get, { concurrency: 8 })
        for (const task of tasks) if (Option.isSome(task)) statuses.set(task.value.id, task.value.status)
        const counts = { ...none }
        for (const status of statuses.values()) counts[status]++
        return counts
      })
    }

    /** Tells the client how many tasks have ended, if it has asked for that. */
    const report = Effect.fnUntraced(function* (counts: Counts) {
      const { requestMetadata } = yield* McpRequestContext
      const progressToken = requestMetadata?.["progressToken"]
      if (typeof progressToken !== "string" && typeof progressToken !== "number") return
      const progress = counts.completed + counts.failed + counts.cancelled
      const total = progress + counts.pending + counts.in_progress + counts.in_review
      yield* notifications["notifications/progress"]({ progressToken, progress, total })
    })

    const untilEnded = Effect.fnUntraced(function* (count: Effect.Effect<Counts, TaskStoreError>) {
      let known = yield* store.awaitChange(-1)
      while (true) {
        const counts = yield* count
        yield* report(counts)
        if (counts.pending + counts.in_progress === 0) return counts
        yield* Effect.sleep(rest)
        const changed = Effect.map(store.awaitChange(known), (changes) => {
          known = changes
        })
        yield* Effect.raceFirst(changed, Effect.sleep(pollInterval))
      }
    })

    const result = (task: Tasks.Task, maxCharacters: number) => ({
      id: task.id,
      status: task.status,
      verified: task.verified,
      ...(task.result === undefined ? undefined : { result: cut(task.result, maxCharacters) })
    })

    return tools.of({
      add_tasks: Effect.fnUntraced(function* ({ tasks, ...inQueue }) {
        const { queue = Tasks.defaultQueue } = inQueue
        const named = tasks.map((task) => ({ ...task, id: task.id ?? ofContent(task) }))
        const own = new Set(named.map((task) => Tasks.localId({ id: task.id, queue })))
        const idOf = (id: string) => {
          const local = Tasks.localId({ id, queue })
          return own.has(local) ? Tasks.idInQueue(queue, local) : Tasks.TaskId.make(id)
        }
        const all: Array<Tasks.NewTask> = []
        for (const { dependsOn, ...task } of named) {
          const dependencies = dependsOn === undefined ? undefined : { dependsOn: dependsOn.map(idOf) }
          all.push({ ...task, ...inQueue, ...dependencies, id: idOf(task.id) })
        }
        const { added, different, existing } = yield* operations.add(all)
        return { ids: all.map(({ id }) => id), added: added.length, existing, different }
      }),

      get_progress: Effect.fnUntraced(function* ({ queue }) {
        const { control, queues } = yield* operations.overview
        return { control, queues: queues.filter((each) => queue === undefined || each.queue === queue) }
      }),

      list_tasks: ({ after, limit = limits.pageSize, ...query }) =>
        operations.page({ ...query, cursor: after, limit }, listedTask),

      get_task: ({ id, maxCharacters = limits.text }) => operations.task(id, maxCharacters),

      wait_for_tasks: Effect.fnUntraced(function* ({ ids, queue, timeoutSeconds = limits.wait }) {
        if ((ids === undefined) === (queue === undefined)) {
          return yield* new BadRequest({ message: "Name the tasks to wait for, either by `ids` or by `queue`." })
        }
        const count = counting(queue, ids ?? [])
        const ended = yield* Effect.timeoutOption(untilEnded(count), Duration.seconds(timeoutSeconds))
        return Option.isSome(ended) ? { done: true, ...ended.value } : { done: false, ...(yield* count) }
      }, orRefused),

      read_results: Effect.fnUntraced(function* ({
        after,
        ids,
        limit = limits.pageSize,
        maxCharacters = limits.text,
        queue
      }) {
        if (ids === undefined) {
          const query = { queue, status: "completed", results: true, cursor: after, limit } as const
          const { kept, next } = yield* read(store, query, (task) => result(task, maxCharacters))
          return { results: kept, next, unknown: [] }
        }
        const found = yield* Effect.forEach(ids, store.get, { concurrency: 8 })
        return {
          results: Arr.getSomes(found).map((task) => result(task, maxCharacters)),
          unknown: ids.filter((_, index) => Option.isNone(found[index] ?? Option.none()))
        }
      }, orRefused),

      list_failures: ({ queue }) => operations.failures(queue),

      requeue_tasks: Effect.fnUntraced(function* ({ cause, ids, queue, status }) {
        const within = queue === undefined ? {} : { queue }
        const selections = [
          ...(ids === undefined ? [] : [{ ids }]),
          ...(status === undefined ? [] : [{ status, ...within }]),
          ...(cause === undefined ? [] : [{ cause, ...within }])
        ]
        const [selection, ...others] = selections
        if (selection === undefined || others.length > 0 || (ids !== undefined && queue !== undefined)) {
          return yield* new BadRequest({
            message:
              "Name the tasks to requeue in one way: by `ids`, by `status` or by `cause`; the last two in a `queue`."
          })
        }
        return yield* operations.requeue(selection)
      }),

      decide_review: Effect.fnUntraced(function* ({ attempt, comment = "", decision, giveUp = false, id, text }) {
        const { clientInfo } = yield* McpRequestContext
        const { name } = yield* Caller
        const agent = `agent (${clientInfo?.name ?? "MCP"})`
        const about = {
          id,
          by: name === undefined ? agent : `${name}, by an ${agent}`,
          ...(attempt === undefined ? {} : { attempt })
        }
        const decide = (payload: Decide) => operations.decide(payload)
        if (decision === "approve") return yield* decide({ ...about, decision })
        if (decision === "reject" && comment.trim() !== "") {
          return yield* decide({ ...about, decision, comment, giveUp })
        }
        if (decision === "edit" && text !== undefined) return yield* decide({ ...about, decision, text })
        return yield* new BadRequest({
          message:
            decision === "edit" ? "An edit needs a `text`." : "A rejection needs a `comment` for the next attempt."
        })
      }),

      set_budget: Effect.fnUntraced(function* ({ queue, ...limits }) {
        if (store.budgets === undefined) return yield* new StoreUnusable({ message: "This store keeps no budgets." })
        return yield* store.budgets.set(queue, { limit: limitOf(limits) })
      }, orRefused)
    })
  })
)

/** Between two looks at the store. */
const rest = Duration.millis(250)
/** Some changes of other processes are not made known. */
const pollInterval = Duration.seconds(1)

const none: Counts = { pending: 0, in_progress: 0, in_review: 0, completed: 0, failed: 0, cancelled: 0, waiting: 0 }
