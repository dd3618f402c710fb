import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { globSync } from "node:fs"
import { promisify } from "node:util"
import { bundles } from "../../../packages/adapters/test/bundle.ts"

const layers = new URL("../../layers/", import.meta.url)
const names = globSync("?-*.ts", { cwd: layers }).map((name) => name.replace(/\.ts$/, ""))
const programs = await bundles(names.map((name) => new URL(`${name}.ts`, layers)))

/** Runs a program, and returns its output. Rejects if the exit code is not 0. */
const outputOf = async (name: string) => {
  const { stderr, stdout } = await promisify(execFile)(process.execPath, [programs[names.indexOf(name)] ?? ""])
  assert.strictEqual(stderr, "")
  return stdout.trimEnd().split("\n")
}

/** Expects these lines in this order, possibly with others between them. */
const assertLines = (lines: ReadonlyArray<string>, expected: ReadonlyArray<string>) => {
  const found = lines.filter((line) => expected.includes(line))
  assert.deepStrictEqual(found, expected)
}

describe("examples/layers", () => {
  it("0: the loop gives every task a result", async () => {
    const lines = await outputOf("0-loop")
    assert.lengthOf(lines, 3)
    assertLines(lines, ['Outline the announcement: a result for "Outline the announcement"'])
  })

  it("1: the store distinguishes completed and failed tasks, and counts attempts", async () => {
    assertLines(await outputOf("1-state"), [
      "name: in_progress, attempt 1",
      "✓ name: completed, attempts 1, done: Name the release",
      "✗ translate: failed, attempts 1, no dictionary for this language"
    ])
  })

  it("2: a failed task is retried until its attempts are used up", async () => {
    assertLines(await outputOf("2-retries"), [
      "6 executions for 3 tasks, 3 retried",
      "✓ flaky: completed, attempts 2, done on attempt 2",
      "✗ hopeless: failed, attempts 3, the source file is gone"
    ])
  })

  it("3: a rejected task is retried with the verifier's feedback", async () => {
    assertLines(await outputOf("3-verification"), [
      "attempt 1, feedback: none",
      "attempt 2, feedback: a haiku has 3 lines, this one has 2",
      'ledger: attempt 1 retried, output "Rain on the tin roof / the build is green at last"'
    ])
  })

  it("4: the circuit breaker stops a run that only fails", async () => {
    assertLines(await outputOf("4-safety"), [
      "3 executions, then: LimitReached",
      "3 failures in a row (last: the provider is down)",
      "20 of 20 tasks are still pending"
    ])
  })

  it("5: hooks observe the run, and a failing hook does not stop it", async () => {
    const lines = await outputOf("5-hooks")
    assertLines(lines, [
      "run started",
      "▶ name, attempt 1",
      "↻ name: Fake failure",
      "✓ name: a fake result for: Name the release",
      "run ended: Drained, 2 completed"
    ])
    assert.isTrue(lines.some((line) => line.includes("A hook failed")))
  })

  it("6: the builder combines the same parts", async () => {
    const lines = await outputOf("6-builder")
    // How long attempts take decides which of the two tasks that are repeated ends first.
    const ended = "Drained: 2 completed, 1 failed, 6 executions"
    assertLines(lines, ["▶ [1] Name the release", "▶ [2] Outline the announcement", ended])
    assertLines(lines, ["▶ [1] Name the release", "  ✗ gave up: no dictionary", ended])
    assertLines(lines, [
      "✗ translate: failed, attempts 3, no dictionary",
      "✓ outline: completed, attempts 2, Final",
      "✓ name: completed, attempts 1, Draft"
    ])
  })
})
