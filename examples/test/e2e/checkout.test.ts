/** A fresh checkout as its first user meets it: the demo, the installed command, what the scripts print. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../../../", import.meta.url))

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "baton-checkout-"))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const run = (program: string, args: ReadonlyArray<string>, cwd: string, env: Record<string, string> = {}) =>
  spawnSync(program, args, { cwd, encoding: "utf8", env: { ...process.env, ...env } })

const writeProgram = (path: string, text: string) => {
  writeFileSync(path, text)
  chmodSync(path, 0o755)
}

describe("the published packages", () => {
  // npm 11 never ends and npm 10 crashes where a package has an optional peer on it that the application installs as well.
  for (const name of ["core", "adapters", "cli"]) {
    it(`${name} has no peer on a test runner, so that npm installs it next to one`, () => {
      const { dependencies, peerDependencies } = JSON.parse(
        readFileSync(`${root}packages/${name}/package.json`, "utf8")
      )
      const needed = Object.keys({ ...dependencies, ...peerDependencies })
      assert.include(needed, "effect")
      assert.deepStrictEqual(
        needed.filter((dependency) => dependency.includes("vitest")),
        []
      )
    })
  }
})

describe("npx -y pnpm@12 demo", () => {
  it("builds the command line's bundle and nothing else", () => {
    const { scripts } = JSON.parse(readFileSync(`${root}package.json`, "utf8"))
    assert.strictEqual(scripts.demo, "node scripts/baton.mjs demo")
    const script = readFileSync(`${root}scripts/baton.mjs`, "utf8")
    const [, task = ""] = /"serve" \? "build" : "(\w+)"/.exec(script) ?? []
    const [, filter = ""] = /"(--filter=[^"]+)"/.exec(script) ?? []
    const plan = run(`${root}node_modules/.bin/turbo`, ["run", task, filter, "--dry=json"], root)
    const tasks: Array<{ taskId: string; command: string }> = JSON.parse(plan.stdout).tasks
    assert.deepStrictEqual(
      tasks.filter(({ command }) => command !== "<NONEXISTENT>").map(({ command, taskId }) => [taskId, command]),
      [["@baton/cli#bundle", "node build.mjs"]]
    )
  })

  it("prints what the README and the walkthrough show", () => {
    const printed = run(process.execPath, [`${root}packages/cli/dist/baton.js`, "demo"], folder).stdout.split("\n")
    for (const page of ["README.md", "docs/walkthrough.md"]) {
      const shown = /^```text\n([\s\S]*?)\n```$/m.exec(readFileSync(root + page, "utf8"))?.[1]?.split("\n") ?? []
      assert.isNotEmpty(shown)
      assert.deepStrictEqual(
        shown.filter((line) => !printed.includes(line)),
        [],
        page
      )
    }
  })

  it("says that it builds while it does, and keeps stdout for the command", async () => {
    const bin = join(folder, "slow")
    mkdirSync(bin)
    const released = join(folder, "released")
    spawnSync("mkfifo", [released])
    writeProgram(join(bin, "turbo"), `#!/bin/sh\necho "output of turbo"\nread line < '${released}'\n`)
    const child = spawn(process.execPath, [`${root}scripts/baton.mjs`, "--version"], {
      env: { ...process.env, PATH: [bin, process.env["PATH"]].join(delimiter) }
    })
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk) => (stdout += chunk))
    await new Promise<void>((resolve) =>
      child.stderr.on("data", (chunk) => {
        stderr += chunk
        if (stderr.endsWith("\n")) resolve()
      })
    )
    writeFileSync(released, "\n")
    const code = await new Promise((resolve) => child.on("close", resolve))
    assert.deepStrictEqual([code, stderr], [0, "Building baton ...\n"])
    assert.match(stdout, /^\d+\.\d+\.\d+\n$/)
  })

  it("reports a build that fails, and exits 1", () => {
    const bin = join(folder, "broken")
    mkdirSync(bin)
    writeProgram(join(bin, "turbo"), `#!/bin/sh\necho "x.ts: no such file" >&2\nexit 2\n`)
    const { status, stderr, stdout } = run(process.execPath, [`${root}scripts/baton.mjs`, "--version"], folder, {
      PATH: [bin, process.env["PATH"]].join(delimiter)
    })
    assert.deepStrictEqual([status, stdout, stderr], [1, "", "x.ts: no such file\n"])
  })
})

describe("scripts/install", () => {
  it("installs a baton that runs this checkout from any directory", () => {
    const bin = join(folder, "it's a bin")
    const elsewhere = join(folder, "elsewhere")
    mkdirSync(elsewhere)
    const installed = run(`${root}scripts/install`, [bin], folder)
    assert.strictEqual(installed.status, 0, installed.stderr)
    assert.include(installed.stdout, `export PATH="${bin}:$PATH"`)

    const again = run(`${root}scripts/install`, [bin], folder, { PATH: [bin, process.env["PATH"]].join(delimiter) })
    assert.strictEqual(again.status, 0, again.stderr)
    assert.notInclude(again.stdout, "export PATH")

    const env = { PATH: [bin, "/usr/bin", "/bin"].join(delimiter) }
    writeFileSync(join(elsewhere, "words.txt"), "one\ntwo words\n")
    const ran = run("baton", ["run", "words.txt", "--exec", "wc -w", "--verify", "grep -q 2"], elsewhere, {
      ...env,
      BATON_MAX_ATTEMPTS: "1"
    })
    assert.strictEqual(ran.status, 2, ran.stderr)
    assert.include(run("baton", ["list", "--status", "completed"], elsewhere, env).stdout, "two words")
  })

  it("leaves a baton alone that something else installed", () => {
    const bin = join(folder, "taken")
    mkdirSync(bin)
    writeProgram(join(bin, "baton"), "#!/bin/sh\n")
    const { status, stderr } = run(`${root}scripts/install`, [bin], folder)
    assert.strictEqual(status, 1)
    assert.match(stderr, /exists, and scripts\/install did not make it/)
    assert.strictEqual(readFileSync(join(bin, "baton"), "utf8"), "#!/bin/sh\n")
  })
})

it("no dependency waits for a decision about its build scripts or agent skills", () => {
  const { status, stdout } = run("pnpm", ["permissions", "list"], root)
  assert.strictEqual(status, 0)
  assert.include(stdout, "Denied:")
  assert.notInclude(stdout, "Awaiting approval")
})

describe("deploy/baton-worker.service", () => {
  const unit = readFileSync(`${root}deploy/baton-worker.service`, "utf8")
  const setting = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(unit)?.[1]

  it("restarts a worker that failed, for instance because its store was down (1), unless a limit stopped it (3)", () => {
    assert.strictEqual(setting("Restart"), "on-failure")
    assert.strictEqual(setting("RestartPreventExitStatus"), "3")
    assert.strictEqual(setting("SuccessExitStatus"), "143")
    assert.strictEqual(setting("StartLimitIntervalSec"), "0")
  })
})
