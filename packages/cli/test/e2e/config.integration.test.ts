import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fileURLToPath } from "node:url"
import { baton, built, folder } from "./baton.ts"

const core = new URL("../../../core/src/index.ts", import.meta.url).href
const effect = import.meta.resolve("effect")

describe("baton.config.ts", () => {
  it.live("can import the types where baton is not installed, and sets flags", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.txt", "one\ntwo words\n")
      dir.write(
        "baton.config.ts",
        `import { defineConfig } from "@baton/cli/config"
         export default defineConfig({ store: "sqlite:mine.db", exec: "wc -w", verify: "grep -q 1", maxAttempts: 1 })`
      )
      const run = yield* built(dir.path, ["run", "tasks.txt"])
      assert.strictEqual(run.code, 2, run.stderr)
      assert.include(run.stderr, "1 of 2 tasks completed")
      // The suggested commands do not repeat settings from the configuration.
      assert.include(run.stderr, "  baton dlq list ")

      // From another folder, without the configuration: it cannot be imported into this process.
      const requeue = baton((yield* folder).path, ["dlq", "requeue", "--all", "--store", `sqlite:${dir.path}/mine.db`])
      // The environment overrides the configuration, and a flag overrides both.
      const environment = { BATON_VERIFY: "grep -q nothing" }
      yield* requeue
      assert.strictEqual((yield* built(dir.path, ["run"], environment)).code, 2)
      yield* requeue
      assert.strictEqual((yield* built(dir.path, ["run", "--verify", "grep -q 2"], environment)).code, 0)
    })
  )

  it.live("sets the pause between tasks", () =>
    Effect.gen(function* () {
      // A folder for each, because a process imports a file once.
      const run = Effect.fnUntraced(function* (pause: string) {
        const dir = yield* folder
        dir.write("tasks.txt", "one\ntwo\nthree\n")
        dir.write("baton.config.ts", `export default { pauseBetweenTasks: "${pause}" }`)
        return yield* baton(dir.path, ["run", "tasks.txt", "--exec", "cat", "--no-verify", "-j", "1"])
      })
      const soon = yield* run("soon")
      assert.strictEqual(soon.code, 1)
      assert.include(soon.stderr, 'pauseBetweenTasks in baton.config.ts is "soon": it takes a duration such as 500ms')
      assert.include((yield* run("1ms")).stderr, "3 of 3 tasks completed")
    })
  )

  it.live("provides layers, built with the `effect` package of its directory", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.txt", "one\ntwo words\n")
      dir.write(
        "baton.config.ts",
        `import { Execution, Executor, Safety, TaskStore, Verification, Verifier } from ${JSON.stringify(core)}
         import { Console, Effect, Layer } from ${JSON.stringify(effect)}
         const settings = {
           store: TaskStore.layerMemory,
           executor: Executor.layer((task) =>
             Effect.as(Effect.sleep(1), Execution.make({ output: task.description.toUpperCase() }))),
           verifier: Verifier.layer((_, { output }) =>
             Effect.succeed(output === "ONE" ? Verification.pass() : Verification.reject("not one"))),
           safety: Safety.layerCircuitBreaker({ maxIterations: 3 }),
           hooks: [(event) => Console.error("hook: " + event._tag)],
           maxAttempts: 5, retryDelay: "1ms",
           profiles: {
             broken: { store: Layer.empty },
             failing: { executor: Layer.effect(Executor.Executor, Effect.fail(new Error("no such model"))) }
           }
         }
         export default settings`
      )
      const run = yield* built(dir.path, ["run", "tasks.txt"])
      assert.strictEqual(run.code, 3, run.stderr)
      assert.include(run.stderr, "hook: VerificationFailed")
      assert.include(run.stderr, "1 of 2 tasks completed")

      const broken = yield* built(dir.path, ["list", "--profile", "broken"])
      assert.deepInclude(broken, {
        code: 1,
        stderr:
          "error: `store` in baton.config.ts (profile broken) does not provide @baton/core/TaskStore. " +
          "Use a layer that provides it.\n"
      })
      const failing = yield* built(dir.path, ["run", "tasks.txt", "--profile", "failing"])
      assert.strictEqual(failing.code, 1)
      assert.include(
        failing.stderr,
        "error: `executor` in baton.config.ts (profile failing) cannot be built: no such model"
      )
    })
  )

  it.live("with a problem stops every command except the help", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("baton.config.ts", "export default {\n  concurency: 2\n}\n")
      assert.deepInclude(yield* baton(dir.path, ["run"]), {
        code: 1,
        stdout: "",
        stderr: "baton.config.ts:2: unknown setting `concurency`; did you mean `concurrency`?\n"
      })
      assert.strictEqual((yield* baton(dir.path, ["run", "--help"])).code, 0)
      assert.strictEqual((yield* baton(dir.path, ["--version"])).code, 0)
      const other = fileURLToPath(new URL("../..", import.meta.url))
      assert.include(
        (yield* baton(other, ["list", "--config-file", "none.ts"])).stderr,
        "The configuration none.ts does not exist."
      )
    })
  )
})
