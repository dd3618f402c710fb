import { assert, describe, it } from "@effect/vitest"
import { NodeServices } from "@effect/platform-node"
import { ConfigProvider, Effect, Layer, Sink, Stdio } from "effect"
import { TestConsole } from "effect/testing"
import { run } from "../../src/main.ts"

/** The output of a command line. */
const print = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
  const services = Layer.mergeAll(
    TestConsole.layer,
    Stdio.layerTest({ stdout: () => Sink.drain }),
    ConfigProvider.layer(ConfigProvider.fromUnknown({}))
  )
  const { errors, logged } = yield* Effect.all({
    exit: Effect.exit(run(args)),
    logged: TestConsole.logLines,
    errors: TestConsole.errorLines
  }).pipe(Effect.provide(Layer.provideMerge(services, NodeServices.layer), { local: true }))
  return { help: logged.join("\n"), errors: errors.join("\n") }
})

describe("help", () => {
  it.effect("lists every command and has a readable width", () =>
    Effect.gen(function* () {
      const { help } = yield* print()
      for (const name of ["run", "worker", "add", "import", "list", "status", "dlq", "stop", "demo"]) {
        assert.match(help, new RegExp(`^  ${name} `, "m"))
      }
      for (const line of help.split("\n")) assert.isAtMost(line.length, 100)
    })
  )

  it.effect("shows flags with their short names, values and defaults, and examples", () =>
    Effect.gen(function* () {
      const { help } = yield* print("run", "--help")
      assert.match(help, /^ {2}-j, --concurrency N +The number of tasks to run at the same time \(default 4\)$/m)
      assert.match(help, /^ {2}-q, --quiet +\S/m)
      assert.include(help, "Usage\n  baton run [flags] [SOURCE...]\n")
      assert.include(
        help,
        "  baton run tasks.jsonl --exec 'claude -p' --verify './check.sh'\n    Run a list with a verifier\n"
      )
      for (const line of help.split("\n")) assert.isAtMost(line.length, 100)
    })
  )

  it.effect("an invalid command line prints one sentence and the command for help to standard error", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* print("run", "--concurency", "3"), {
        help: "",
        errors: "error: Unknown flag --concurency. Did you mean --concurrency?\nTry `baton run --help`."
      })
      assert.deepStrictEqual(yield* print("lsit"), {
        help: "",
        errors: 'error: Unknown command "lsit". Did you mean list or set or init?\nTry `baton --help`.'
      })
      assert.deepStrictEqual(yield* print("demo", "--strore"), {
        help: "",
        errors: "error: Unknown flag --strore. Did you mean --store?\nTry `baton demo --help`."
      })
      assert.deepStrictEqual(yield* print("demo", "x"), {
        help: "",
        errors: 'error: Unexpected argument "x".\nTry `baton demo --help`.'
      })
    })
  )

  it.effect("an invalid value is shown with the expected one, from a flag or the environment", () =>
    Effect.gen(function* () {
      const { errors } = yield* print("run", "--timeout", "5")
      assert.include(errors, 'error: --timeout is "5": it takes a duration such as 500ms, 30s, 10m or 8h')
    })
  )
})
