import { assert, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { start } from "../../../packages/adapters/test/claude/server/server.ts"

const program = fileURLToPath(new URL("../../../packages/cli/dist/baton.js", import.meta.url))
const run = promisify(execFile)

/** Runs a script of an example in a copy of its directory, as a user would. */
const inCopy = async <A>(
  example: string,
  body: (
    script: (
      name: string,
      args: ReadonlyArray<string>,
      env?: Record<string, string>
    ) => Promise<{ stdout: string; stderr: string }>,
    path: string
  ) => Promise<A>
) => {
  const path = mkdtempSync(join(tmpdir(), "baton-example-"))
  cpSync(fileURLToPath(new URL(`../../${example}`, import.meta.url)), path, { recursive: true })
  const BATON = `${process.execPath} ${program}`
  const PATH = `${join(process.execPath, "..")}:${process.env["PATH"] ?? ""}`
  try {
    return await body(
      (name, args, env) =>
        run(join(path, name), args, { cwd: path, timeout: 500_000, env: { ...process.env, BATON, PATH, ...env } }),
      path
    )
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
}

it("ralph-loop: the agent is retried until the tests of the project pass", () =>
  inCopy("ralph-loop", async (script, path) => {
    const { stderr } = await script("loop.sh", [])
    assert.include(stderr, "1 of 1 task completed")
    assert.match(stderr, /attempts +3, 2 failed/)
    assert.include(readFileSync(join(path, "project/slug.mjs"), "utf8"), "[^a-z0-9-]")
  }))

it("batch-prompts: exports the table with answers, with and without --batch", async () => {
  const server = await start({})
  const env = { ANTHROPIC_API_KEY: "sk-ant-test", ANTHROPIC_BASE_URL: server.url }
  try {
    for (const mode of [[], ["--batch"]]) {
      await inCopy("batch-prompts", async (script) => {
        const { stderr, stdout } = await script("run.sh", mode, env)
        assert.include(stdout, "4 tasks")
        assert.include(stderr, "4 of 4 tasks completed")
        assert.strictEqual(stdout.match(/""topic"":""billing""/g)?.length, 4, stdout)
      })
    }
  } finally {
    await server.stop()
  }
})

it("pipeline: each stage gets the outputs of the one before, and the report all of them", () =>
  inCopy("pipeline", async (script) => {
    const { stderr, stdout } = await script("run.sh", [])
    assert.include(stderr, "7 of 7 tasks completed")
    assert.include(stdout, "- Incident review: The queue stood still for ten minutes.")
    assert.include((await script("run.sh", [])).stderr, "Nothing to do")
  }))
