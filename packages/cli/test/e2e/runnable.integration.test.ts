import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { folder } from "./baton.ts"
import * as Shell from "./shell.ts"
import { pages } from "../docs/pages.ts"

/** Blocks that begin with `sh run`. Those of one page run in order in one folder, which is empty at first. */
const runnable = pages.flatMap(({ blocks, name }) => {
  const own = blocks.filter(({ info, language }) => language === "sh" && info === "run")
  return own.length === 0 ? [] : [{ name, blocks: own }]
})

describe("shell code in the documentation", () => {
  it("exists", () => assert.isAbove(runnable.length, 1))

  it.live.each(runnable)("$name: blocks marked `run` succeed", ({ blocks, name }) =>
    Effect.gen(function* () {
      const shell = yield* Shell.make
      const { path } = yield* folder
      const home = yield* folder
      const own = Object.entries(process.env).filter(([name]) => !/^(?:BATON|OTEL|ANTHROPIC|CLAUDE)_/.test(name))
      const env = { ...Object.fromEntries(own), HOME: home.path }
      for (const { code: script, line } of blocks) {
        const { code, stderr, stdout } = yield* shell(path, script, env)
        assert.strictEqual(code, 0, `${name}:${line}\n${stdout}${stderr}`)
      }
    })
  )
})
