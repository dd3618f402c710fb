import { assert, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

const file = fileURLToPath(new URL("../../map-reduce/main.ts", import.meta.url))

it("a hundred verified outputs reach the task that combines them, in a program of at most 25 lines", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [file])
  const sum = Array.from({ length: 100 }, (_, index) => (index + 1) ** 2).reduce((total, square) => total + square)
  assert.strictEqual(stdout, `101 tasks completed, the sum is ${sum}\n`)
  assert.isAtMost(readFileSync(file, "utf8").trimEnd().split("\n").length, 25)
})
