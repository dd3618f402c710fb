import { assert, describe, it } from "@effect/vitest"
import { Effect, Stdio } from "effect"
import { commandLine } from "../../src/view/commandLine.ts"

const typed = (...args: ReadonlyArray<string>) =>
  Effect.runSync(Effect.provide(commandLine, Stdio.layerTest({ args: Effect.succeed(args) })))

describe("commandLine", () => {
  it("can be typed again unchanged", () => {
    assert.strictEqual(
      typed("run", "my tasks.txt", "--exec", "echo it's $HOME", "-j", "8", "--max-tokens", "100"),
      String.raw`baton run 'my tasks.txt' --exec 'echo it'\''s $HOME' -j 8 --max-tokens 100`
    )
  })

  it("contains no password, secret or webhook URL", () => {
    assert.strictEqual(
      typed("run", "--store", "postgres://me:hunter2@db/x", "--webhook", "https://hooks.example/T0/s3cret", "--json"),
      "baton run --store 'postgres://me:…@db/x' --webhook … --json"
    )
    assert.strictEqual(
      typed("run", "--webhook=https://hooks.example/T0/s3cret", "--api-key=sk-1", "--api-key", "sk-2"),
      "baton run --webhook=… --api-key=… --api-key …"
    )
  })
})
