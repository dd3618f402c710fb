import { Executions, TaskActivity, Workflows } from "@baton/adapters/workflow"
import { PostgresTaskStore } from "@baton/adapters/postgres"
import { ExecutionError, TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Option, Queue, type Scope } from "effect"
import { DurableDeferred, WorkflowEngine } from "effect/workflow"
import { fork } from "node:child_process"
import { join } from "node:path"
import { bundle } from "../../bundle.ts"
import { isMissing } from "../../postgres/postgres.ts"
import { Child, Grandchild, Parent, Starting, Told, Waiting, workflows, Works } from "../../workflow/family.ts"
import { database, folder, freePort } from "../../workflow/servers.ts"

/** The worker of all steps: each waits until its test lets it end. */
class Steps extends Context.Service<
  Steps,
  {
    readonly begun: (name: string) => Effect.Effect<void>
    readonly end: (name: string, exit: Exit.Exit<void, ExecutionError>) => Effect.Effect<void>
    readonly worker: Layer.Layer<never, unknown, TaskStore.TaskStore>
  }
>()("Steps") {
  static readonly layer = Layer.sync(Steps, () => {
    const known = new Map<
      string,
      { readonly begun: Deferred.Deferred<void>; readonly end: Deferred.Deferred<void, ExecutionError> }
    >()
    const of = (name: string) => {
      const step = known.get(name) ?? { begun: Deferred.makeUnsafe(), end: Deferred.makeUnsafe() }
      known.set(name, step)
      return step
    }
    return {
      begun: (name) => Deferred.await(of(name).begun),
      end: (name, exit) => Effect.asVoid(Deferred.done(of(name).end, exit)),
      worker: Works.toLayer(
        ({ name }) =>
          Effect.andThen(
            Deferred.succeed(of(name).begun, undefined),
            Effect.as(Deferred.await(of(name).end), { name })
          ),
        { concurrency: 16, maxAttempts: 1, drainTimeout: 0, onEnd: "log" }
      )
    }
  })
}

const fails = Exit.fail(new ExecutionError({ reason: "Permanent", message: "This step fails." }))

/** Waits until the task of the step of a grandchild is settled, and returns its status. */
const stepOf = Effect.fnUntraced(function* (name: string) {
  const store = yield* TaskStore.TaskStore
  const execution = yield* Grandchild.executionId({ name })
  const task = yield* store.awaitSettled(Works.taskId(TaskActivity.stepId(Grandchild, execution, name)))
  return Option.getOrThrow(task).status
})

const assertInterrupted = <A, E>(exit: Exit.Exit<A, E>) =>
  assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause), String(exit))

/** The executions below one with this name end by being interrupted, with their task. */
const areCancelled = Effect.fnUntraced(function* (name: string) {
  assert.strictEqual(yield* stepOf(name), "cancelled")
  assertInterrupted(yield* Effect.exit(Grandchild.execute({ name })))
  assertInterrupted(yield* Effect.exit(Child.execute({ name })))
})

const single = Effect.map(folder, (directory) => Workflows.layerSingle({ filename: join(directory, "workflows.db") }))

const cluster = Effect.gen(function* () {
  const url = yield* database
  return Workflows.layerCluster({ url, host: "127.0.0.1", port: yield* freePort })
})

const engines: ReadonlyArray<{
  readonly name: string
  readonly make: Effect.Effect<Layer.Layer<WorkflowEngine.WorkflowEngine, unknown>, unknown, Scope.Scope>
  readonly skip: boolean
}> = [
  { name: "memory", make: Effect.succeed(Workflows.layerMemory), skip: false },
  { name: "SQLite", make: single, skip: false },
  { name: "PostgreSQL", make: cluster, skip: isMissing }
]

describe.each(engines)("executions within an execution on $name", ({ make, name, skip }) => {
  const process = (
    wrap: Layer.Layer<WorkflowEngine.WorkflowEngine, never, WorkflowEngine.WorkflowEngine | TaskStore.TaskStore>
  ) =>
    Layer.unwrap(
      Effect.map(make, (engine) =>
        Layer.merge(workflows(), Layer.unwrap(Effect.map(Steps, ({ worker }) => worker))).pipe(
          Layer.provideMerge(wrap),
          Layer.provideMerge(Layer.mergeAll(Layer.fresh(engine), TaskStore.layerMemory, Steps.layer))
        )
      )
    )
  const alone = process(Layer.effect(WorkflowEngine.WorkflowEngine, WorkflowEngine.WorkflowEngine))
  const recorded = process(Executions.layer)

  it.live.skipIf(skip)("are interrupted when it fails, with their tasks", () =>
    Effect.gen(function* () {
      const steps = yield* Steps
      const parent = yield* Effect.forkChild(Effect.exit(Parent.execute({ name: "a" })))
      yield* steps.begun("a")
      yield* steps.begun("beside a")
      yield* steps.end("beside a", fails)
      assert.include(String(yield* Fiber.join(parent)), "This step fails.")
      yield* areCancelled("a")
    }).pipe(Effect.provide(alone, { local: true }))
  )

  // The engine in memory runs the finalizers of such a replay when they are added.
  it.live.skipIf(skip || name === "memory")("are interrupted when it fails in a replay that does not reach them", () =>
    Effect.gen(function* () {
      const steps = yield* Steps
      const parent = yield* Effect.forkChild(Effect.exit(Waiting.execute({ name: "a" })))
      yield* steps.begun("a")
      const token = DurableDeferred.tokenFromExecutionId(Told, {
        workflow: Waiting,
        executionId: yield* Waiting.executionId({ name: "a" })
      })
      yield* DurableDeferred.fail(Told, { token, error: "It was told to." })
      assert.include(String(yield* Fiber.join(parent)), "It was told to.")
      yield* areCancelled("a")
    }).pipe(Effect.provide(alone, { local: true }))
  )

  it.live.skipIf(skip)("are interrupted with it, and do not wait for their steps", () =>
    Effect.gen(function* () {
      const steps = yield* Steps
      const parent = yield* Effect.forkChild(Effect.exit(Parent.execute({ name: "a" })))
      yield* steps.begun("a")
      yield* steps.begun("beside a")
      yield* TaskActivity.interrupt(Parent, yield* Parent.executionId({ name: "a" }))
      assert.isTrue(Exit.isFailure(yield* Fiber.join(parent)))
      yield* areCancelled("a")
    }).pipe(Effect.provide(alone, { local: true }))
  )

  it.live.skipIf(skip)("that it started without waiting end when it fails, and others continue", () =>
    Effect.gen(function* () {
      const steps = yield* Steps
      const parent = yield* Effect.forkChild(Effect.exit(Starting.execute({ name: "a" })))
      yield* Effect.forEach(["linked a", "detached a", "beside a"], steps.begun)
      yield* steps.end("beside a", fails)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(parent)))
      yield* areCancelled("linked a")
      for (const name of ["detached a", "undoing a"]) {
        yield* steps.end(name, Exit.void)
        assert.strictEqual(yield* Child.execute({ name }), name)
      }
    }).pipe(Effect.provide(alone, { local: true }))
  )

  it.live.skipIf(skip)("that it started without waiting continue when it succeeds", () =>
    Effect.gen(function* () {
      const steps = yield* Steps
      const parent = yield* Effect.forkChild(Starting.execute({ name: "a" }))
      yield* Effect.forEach(["linked a", "beside a"], steps.begun)
      yield* steps.end("beside a", Exit.void)
      assert.strictEqual(yield* Fiber.join(parent), "beside a")
      yield* steps.end("linked a", Exit.void)
      assert.strictEqual(yield* Child.execute({ name: "linked a" }), "linked a")
    }).pipe(Effect.provide(alone, { local: true }))
  )

  it.live.skipIf(skip)("are cancelled in the task store when it fails", () =>
    Effect.gen(function* () {
      const steps = yield* Steps
      const { id } = yield* Executions.start(Parent, { name: "a" })
      yield* steps.begun("a")
      yield* steps.begun("beside a")
      yield* steps.end("beside a", fails)
      const store = yield* TaskStore.TaskStore
      const ended = yield* store.awaitSettled(`${Executions.queueOf("Parent/1")}/${id}`)
      assert.deepStrictEqual(Option.getOrThrow(ended).status, "failed")
      const tree = yield* Executions.steps("Parent/1", id)
      yield* Effect.forEach(tree, ({ task }) => store.awaitSettled(task.id))
      assert.sameMembers(
        (yield* Executions.steps("Parent/1", id)).map(({ depth, name, task }) => `${depth} ${name} ${task.status}`),
        ["0 Child/1 cancelled", "1 Grandchild/1 cancelled", "2 a cancelled", "0 beside a failed"]
      )
      yield* Executions.start(Starting, { name: "b" })
      yield* Effect.forEach(["linked b", "detached b", "beside b"], steps.begun)
      yield* steps.end("beside b", fails)
      for (const name of ["detached b", "undoing b"]) {
        yield* steps.end(name, Exit.void)
        yield* Child.execute({ name })
      }
      const children = yield* Effect.forEach(["linked b", "detached b", "undoing b"], (name) =>
        Effect.flatMap(Child.executionId({ name }), (child) =>
          store.awaitSettled(`${Executions.queueOf("Child/1")}/${child}`)
        )
      )
      assert.deepStrictEqual(
        children.map((child) => Option.getOrThrow(child).status),
        ["cancelled", "completed", "completed"]
      )
    }).pipe(Effect.provide(recorded, { local: true }))
  )
})

describe("executions within an execution", () => {
  it.live.skipIf(isMissing)("are interrupted when it fails on the runner that took it over", () =>
    Effect.gen(function* () {
      const steps = yield* Steps
      const url = yield* database
      const store = PostgresTaskStore.layer({ url })
      yield* Effect.gen(function* () {
        const program = yield* Effect.promise(() => bundle(new URL("../../workflow/familyRunner.ts", import.meta.url)))
        const begun = yield* Queue.unbounded<number>()
        const runners = yield* Effect.forEach([0, 1], (index) =>
          Effect.flatMap(freePort, (port) =>
            Effect.acquireRelease(
              Effect.sync(() => {
                const child = fork(program, [url, String(port)], { stdio: ["ignore", "ignore", "inherit", "ipc"] })
                return child.on("message", () => Queue.offerUnsafe(begun, index))
              }),
              (child) => Effect.sync(() => child.kill("SIGKILL"))
            )
          )
        )
        const killed = yield* Queue.take(begun)
        yield* steps.begun("a")
        yield* steps.begun("beside a")
        runners[killed]?.kill("SIGKILL")
        while ((yield* Queue.take(begun)) === killed);
        yield* steps.end("beside a", fails)
        assert.strictEqual(yield* stepOf("a"), "cancelled")
      }).pipe(Effect.provide(Layer.provideMerge(steps.worker, store), { local: true }))
    }).pipe(Effect.provide(Steps.layer, { local: true }))
  )
})
