import { Attempt, Execution, Task, type TaskStore } from "@baton/core"
import { assert } from "@effect/vitest"
import { Duration, Effect, Option } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { JsonTaskStore } from "@baton/adapters/json"

export type Store = TaskStore.TaskStore["Service"]

/** Opens the file, calls `use` with the store, and closes the file. */
export const withStore = <A, E>(
  filename: string,
  use: (store: Store) => Effect.Effect<A, E>,
  options?: Omit<JsonTaskStore.Options, "filename">
) => Effect.scoped(Effect.flatMap(JsonTaskStore.make({ ...options, filename }), use))

/** Opens the file and closes it. */
export const opened = (filename: string) => withStore(filename, () => Effect.void)

export const id = (name: string) => Task.TaskId.make(name)

export const task = (name: string, options?: Omit<Parameters<typeof Task.makeNew>[0], "id" | "description">) =>
  Task.makeNew({ id: name, description: `Do ${name}.`, ...options })

export const claim = (store: Store, limit = 1) => store.claim({ limit, owner: "worker", lease: Duration.minutes(1) })

const ended = ({ task, token }: TaskStore.Claim, output: string) => ({
  taskId: task.id,
  token,
  execution: Execution.make({ output })
})

export const complete = (claimed: TaskStore.Claim, output = `${claimed.task.id} is done`): TaskStore.Settlement => ({
  _tag: "Complete",
  ...ended(claimed, output),
  verified: true
})

export const fail = (claimed: TaskStore.Claim, output: string, feedback: string): TaskStore.Settlement => ({
  _tag: "Fail",
  ...ended(claimed, output),
  feedback,
  checkpoint: undefined
})

/** Claims the first task, which has to exist. */
export const claimOne = Effect.fnUntraced(function* (store: Store) {
  const [claimed] = yield* claim(store)
  assert.isDefined(claimed)
  return claimed
})

/** Completes all claimable tasks in order. */
export const completeAll = Effect.fnUntraced(function* (store: Store) {
  for (;;) {
    const claims = yield* claim(store, 100)
    if (claims.length === 0) return
    yield* store.settle(claims.map((claimed) => complete(claimed)))
  }
})

export const find = (store: Store, name: string) => Effect.map(store.get(id(name)), Option.getOrThrow)

export const lease = (name: string, token: number) => ({ taskId: id(name), token: Attempt.LeaseToken.make(token) })

export const patient = { maxAttempts: 100, onCrash: "retry" } as const

export const textOf = (filename: string) => readFileSync(filename, "utf8")

/** The file as untyped data. */
export const dataOf = (filename: string) => JSON.parse(textOf(filename))

export const isLocked = (filename: string) => existsSync(`${filename}.lock`)
