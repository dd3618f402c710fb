import { assert, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { pages } from "./pages.ts"

const program = fileURLToPath(new URL("../../dist/baton.js", import.meta.url))

/** Blocks that begin with `sh run`. Those of one page run in order in one folder, which is empty at first. */
const runnable = pages.flatMap(({ blocks, name }) => {
  const own = blocks.filter(({ info, language }) => language === "sh" && info === "run")
  return own.length === 0 ? [] : [{ name, blocks: own }]
})

describe("shell code in the documentation", () => {
  it("exists", () => assert.isAbove(runnable.length, 1))

  it.each(runnable)("$name: blocks marked `run` succeed", ({ blocks, name }) => {
    const folder = mkdtempSync(join(tmpdir(), "baton-docs-"))
    const bin = join(folder, "bin")
    const work = join(folder, "work")
    mkdirSync(bin)
    mkdirSync(work)
    writeFileSync(join(bin, "baton"), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`)
    chmodSync(join(bin, "baton"), 0o755)
    const own = Object.entries(process.env).filter(([name]) => !/^(?:BATON|OTEL|ANTHROPIC|CLAUDE)_/.test(name))
    const env = { ...Object.fromEntries(own), PATH: [bin, process.env["PATH"]].join(delimiter), HOME: folder }
    try {
      for (const { code, line } of blocks) {
        const { status, stderr, stdout } = spawnSync("bash", ["-euo", "pipefail", "-c", code], {
          cwd: work,
          env,
          encoding: "utf8",
          timeout: 100_000
        })
        assert.strictEqual(status, 0, `${name}:${line}\n${stdout}${stderr}`)
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
