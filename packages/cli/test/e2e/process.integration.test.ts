import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { cpSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import manifest from "../../package.json" with { type: "json" }
import { baton, built, folder, list, start } from "./baton.ts"

const dist = fileURLToPath(new URL("../../dist", import.meta.url))
const program = join(dist, "baton.js")

/** Runs a shell script; `$BATON` starts the built program. */
const shell = (cwd: string, script: string, env: Record<string, string> = {}) =>
  Effect.callback<{ readonly stdout: string; readonly stderr: string }>((resume) => {
    const child = spawn("bash", ["--norc", "--noprofile", "-c", script], {
      cwd,
      env: { PATH: process.env["PATH"] ?? "", BATON: `${process.execPath} ${program}`, ...env }
    })
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text))
    child.on("close", () => resume(Effect.succeed({ stdout, stderr })))
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** Whether a process is running; a zombie is not. */
const runs = (pid: string): boolean => {
  const { stdout } = spawnSync("ps", ["-o", "stat=", "-p", pid], { encoding: "utf8" })
  return stdout !== "" && !stdout.startsWith("Z")
}

/** Whether this user may mount file systems in a namespace. */
const canMount = spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]).status === 0

const tasks = (count: number) => Array.from({ length: count }, (_, index) => `task ${index}`).join("\n")

// eslint-disable-next-line no-control-regex
const escape = /\u001B/

describe("the built program", () => {
  it.live("prints its version", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      assert.deepInclude(yield* built(dir.path, ["--version"]), {
        code: 0,
        stdout: `${manifest.version}\n`,
        stderr: ""
      })
    })
  )

  it.live("ends after a signal while it imports from a pipe that stays open", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      // The redirection waits until the pipe is open for reading.
      const { stdout } = yield* shell(
        dir.path,
        'mkfifo tasks.txt; $BATON import tasks.txt & exec 7> tasks.txt; kill -TERM $!; wait $!; echo "exit code $?"'
      )
      assert.strictEqual(stdout, "exit code 143\n")
    })
  )

  it.live.skipIf(!canMount)("shows a store on a read-only file system, and refuses to change it", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const { stderr, stdout } = yield* shell(
        dir.path,
        `mkdir disk; $BATON add one --id a --store sqlite:disk/s.db
        unshare -rm bash -c '
          mount --bind disk disk && mount -o remount,bind,ro disk && cd disk
          $BATON export --store sqlite:s.db | grep -o "description.:.one"
          $BATON status --store sqlite:s.db --json | grep -o "total.:1"
          $BATON cancel a --store sqlite:s.db'`
      )
      assert.strictEqual(stdout, 'a\ndescription":"one\ntotal":1\n')
      assert.strictEqual(
        stderr.split("\n").at(-2),
        "error: The store s.db cannot be written: give this user write permission for the file and its folder."
      )
    })
  )

  it.live("needs no files outside of its directory", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      cpSync(dist, join(dir.path, "elsewhere"), { recursive: true })
      dir.write("tasks.yaml", "- description: one\n- description: two\n")
      const { stdout } = yield* shell(
        dir.path,
        `${process.execPath} elsewhere/baton.js run tasks.yaml --exec 'wc -w' --no-verify --json`
      )
      assert.deepInclude(JSON.parse(stdout), { exitCode: 0 })
    })
  )
})

describe("signals", () => {
  it.live("a second one ends the run at once, leaves no program running, and the next run takes over", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.txt", tasks(2))
      const args = ["run", "tasks.txt", "--no-verify", "--lease", "1s", "--output", "ndjson"]
      const run = yield* start(dir.path, [...args, "--shell", "echo $$ >> pids; sleep 300"])
      yield* run.event("TaskStarted")
      yield* run.event("TaskStarted")
      yield* run.kill("SIGTERM")
      yield* run.event("Draining")
      yield* run.kill("SIGINT")
      assert.strictEqual((yield* run.ended).code, 130)
      // The kernel ends a killed process when it gets to it.
      for (const pid of dir.lines("pids"))
        yield* Effect.sync(() => runs(pid)).pipe(Effect.repeat({ while: (isRunning) => isRunning }))
      const last = yield* baton(dir.path, [...args, "--exec", "wc -w"])
      assert.strictEqual(last.code, 0, last.stderr)
      assert.include(last.stderr, "stopped responding; its tasks are taken over")
    })
  )

  it.live("SIGHUP drains like SIGTERM and exits with 129; running tasks are not lost", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.txt", tasks(3))
      const run = yield* start(dir.path, [
        ...["run", "tasks.txt", "--shell", "until [ -e go ]; do sleep 0.02; done; cat", "--no-verify", "-j", "1"],
        ...["--output", "ndjson"]
      ])
      yield* run.event("TaskStarted")
      yield* run.kill("SIGHUP")
      yield* run.event("Draining")
      dir.write("go", "")
      const { code, stderr, stdout } = yield* run.ended
      assert.strictEqual(code, 129)
      assert.include(stderr, "! Interrupted: 1 of 3 tasks completed")
      assert.include(stderr, "Run the same command again to resume:\n    baton run ")
      assert.match(
        stdout.trimEnd().split("\n").at(-1) ?? "",
        /^\{"event":"RunEnded".*"reason":\{"_tag":"Interrupted"\}/
      )
      assert.deepStrictEqual(
        (yield* list(dir.path)).map(({ status }) => status),
        ["completed", "pending", "pending"]
      )
    })
  )
})

describe("output", () => {
  it.live("the run exits with 141 and without an error when the reader of its events closes the pipe", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.txt", tasks(1000))
      const { stderr, stdout } = yield* shell(
        dir.path,
        "$BATON run tasks.txt --store memory: --executor fake --output ndjson | head -n 2; echo ${PIPESTATUS[0]}"
      )
      const [first = "", second = "", code] = stdout.trimEnd().split("\n")
      assert.deepStrictEqual(
        [JSON.parse(first).event, JSON.parse(second).event, code],
        ["RunStarted", "TaskStarted", "141"]
      )
      assert.notMatch(stderr, /EPIPE|error:|^\s+at /m)
    })
  )

  it.live("closing the pipe of any other result is not an error", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.txt", tasks(2000))
      yield* baton(dir.path, ["import", "tasks.txt"])
      const listed = yield* shell(dir.path, "$BATON list --json | head -c 1; echo ${PIPESTATUS[0]}")
      assert.deepStrictEqual(listed, { stdout: "[141\n", stderr: "" })
      const demo = yield* shell(dir.path, "$BATON demo | head -c 1; echo ${PIPESTATUS[0]}")
      assert.deepStrictEqual(demo, { stdout: "T141\n", stderr: "" })
    })
  )

  it.live("a slow reader receives every event, and the store remains responsive", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.txt", tasks(800))
      const args = ["run", "tasks.txt", "--executor", "fake", "--no-verify", "--output", "ndjson", "-j", "64"]
      const child = spawn(process.execPath, [program, ...args], {
        cwd: dir.path,
        stdio: ["ignore", "pipe", "ignore"]
      })
      const closed = new Promise((resolve) => child.on("close", resolve))
      yield* Effect.promise(() => new Promise((resolve) => child.stdout.once("readable", resolve)))
      // The output is much larger than the pipe's buffer, and is not read while this command runs.
      assert.strictEqual((yield* built(dir.path, ["status"])).code, 0)
      let stdout = ""
      child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text))
      child.stdout.resume()
      assert.strictEqual(yield* Effect.promise(() => closed), 0)
      const events = stdout.trimEnd().split("\n")
      assert.strictEqual(events.length, 2 + 2 * 800)
      assert.match(events.at(-1) ?? "", /^\{"event":"RunEnded"/)
    })
  )

  it.live("uses colours only if the terminal and the environment allow them", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.txt", tasks(1))
      const args = ["run", "tasks.txt", "--store", "memory:", "--executor", "fake"]
      assert.notMatch((yield* built(dir.path, args)).stderr, escape)
      assert.match((yield* baton(dir.path, args, { FORCE_COLOR: "1" })).stderr, escape)
      assert.notMatch((yield* baton(dir.path, args, { FORCE_COLOR: "1", NO_COLOR: "1" })).stderr, escape)
      assert.notMatch((yield* built(dir.path, ["demo"])).stdout, escape)
    })
  )
})
