import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { baton, folder, list, start } from "./baton.ts"

/** The tasks of the lab's demo, as its store saves them. */
const lab = `{
  "tasks": [
    {
      "id": "task-001",
      "description": "Write a haiku about orchestration",
      "status": "pending",
      "result": null,
      "attempts": 0,
      "max_attempts": 3,
      "metadata": {}
    },
    {
      "id": "task-002",
      "description": "Explain the conductor pattern in one sentence",
      "status": "pending",
      "result": null,
      "attempts": 0,
      "max_attempts": 3,
      "metadata": {}
    },
    {
      "id": "task-003",
      "description": "List 3 benefits of modular architecture",
      "status": "pending",
      "result": null,
      "attempts": 0,
      "max_attempts": 3,
      "metadata": {}
    }
  ]
}`

/** Loads the file with the lab's code and prints a line for each task. */
const load = `
import json
from enum import Enum
class TaskStatus(Enum):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
with open("tasks.json", "r") as f:
    for task in json.load(f).get("tasks", []):
        status = TaskStatus(task.get("status", "pending"))
        print(task["id"], status.name, task.get("result").strip(), task.get("attempts", 0), task.get("max_attempts", 3))
`

const hasPython = spawnSync("python3", ["--version"]).status === 0

const store = ["--store", "json:tasks.json"]

describe("the lab's file", () => {
  it.live.skipIf(!hasPython)("can be run, and the lab's code can read it afterwards", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.json", lab)
      const run = yield* baton(dir.path, ["run", ...store, "--exec", "wc -w", "--verify", "grep -q [0-9]"])
      assert.strictEqual(run.code, 0, run.stderr)
      const { stderr, stdout } = spawnSync("python3", ["-c", load], { cwd: dir.path, encoding: "utf8" })
      assert.strictEqual(stderr, "")
      assert.strictEqual(stdout, "task-001 COMPLETED 5 1 3\ntask-002 COMPLETED 7 1 3\ntask-003 COMPLETED 6 1 3\n")
    })
  )

  it.live("is locked while a process uses it, and intact after that process is killed", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.json", lab)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const run = ["run", ...store, "--no-verify", "--output", "ndjson", "-j", "1", "--shell"]
          const running = yield* start(dir.path, [...run, "case $BATON_TASK_ID in *1) wc -w;; *) sleep 60;; esac"])
          yield* running.event("TaskCompleted")
          const second = yield* baton(dir.path, ["status", ...store])
          assert.strictEqual(second.code, 1)
          assert.match(second.stderr, new RegExp(`^error: tasks.json is in use by process ${running.pid} on `))
          yield* running.kill("SIGKILL")
          yield* running.ended
        })
      )
      const [first] = yield* list(dir.path, store)
      assert.deepStrictEqual([first?.status, first?.result?.trim()], ["completed", "5"])
      const again = yield* baton(dir.path, ["run", ...store, "--no-verify", "--exec", "wc -w"])
      assert.strictEqual(again.code, 0, again.stderr)
      const tasks = yield* list(dir.path, store)
      assert.deepStrictEqual(
        tasks.map(({ result, status }) => [status, result?.trim()]),
        [
          ["completed", "5"],
          ["completed", "7"],
          ["completed", "6"]
        ]
      )
    })
  )

  it.live("can be migrated to a database and back", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.json", lab)
      yield* baton(dir.path, ["run", ...store, "--no-verify", "--exec", "wc -w"])
      for (const [from, to] of [
        ["json:tasks.json", "sqlite:tasks.db"],
        ["sqlite:tasks.db", "json:back.json"]
      ] as const) {
        const { code, stderr, stdout } = yield* baton(dir.path, ["migrate-store", from, to])
        assert.strictEqual(code, 0, stderr)
        assert.strictEqual(stdout, "3 tasks copied with their history: 3 completed.\n")
      }
      const [there, back] = yield* Effect.forEach(["json:tasks.json", "json:back.json"], (url) =>
        baton(dir.path, ["export", "--history", "--store", url])
      )
      assert.strictEqual(there?.stdout.split("\n").length, 4)
      assert.strictEqual(back?.stdout, there?.stdout)
    })
  )
})
