import { Task, type TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { utimesSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { hasPython, load, loadAndSave, python, rewrite } from "./python.ts"
import {
  claim,
  claimOne,
  complete,
  completeAll,
  dataOf,
  fail,
  find,
  id,
  lease,
  opened,
  patient,
  task,
  textOf,
  withStore
} from "./stores.ts"
import { dumpAll, folder } from "./temporary.ts"

const newFile = Effect.map(folder, (path) => join(path, "tasks.json"))

/** A file with this text, last written at a fixed time. */
const fileWith = Effect.fnUntraced(function* (text: string) {
  const filename = yield* newFile
  const morning = new Date("2026-01-05T09:00:00.000Z")
  writeFileSync(filename, text)
  utimesSync(filename, morning, morning)
  yield* TestClock.setTime(morning.getTime() + 3_600_000)
  return filename
})

/** The tasks of the lab's demo, as its store saves them. */
const lab = `{
  "tasks": [
    {
      "id": "task-001",
      "description": "Write a haiku about orchestration",
      "status": "pending",
      "result": null,
      "attempts": 0,
      "metadata": {}
    },
    {
      "id": "task-002",
      "description": "Explain the conductor pattern in one sentence",
      "status": "pending",
      "result": null,
      "attempts": 0,
      "metadata": {}
    },
    {
      "id": "task-003",
      "description": "List 3 benefits of modular architecture",
      "status": "pending",
      "result": null,
      "attempts": 0,
      "metadata": {}
    }
  ]
}`

const one = (fields: string) => `{"tasks": [{"id": "a", "description": "Do a."${fields}}]}`

describe("the file of a JSON store", () => {
  it.effect("is the lab's: its tasks are completed, and stay in its fields", () =>
    Effect.gen(function* () {
      const filename = yield* fileWith(lab)
      yield* withStore(filename, completeAll)
      const { tasks } = dataOf(filename)
      assert.deepStrictEqual(
        tasks.map((task: object) => Object.keys(task)),
        Array.from({ length: 3 }, () => ["id", "description", "status", "result", "attempts", "metadata", "baton"])
      )
      assert.deepInclude(tasks[2], {
        id: "task-003",
        description: "List 3 benefits of modular architecture",
        status: "completed",
        result: "task-003 is done",
        attempts: 1,
        metadata: {}
      })
    })
  )

  it.effect.skipIf(!hasPython)("opens in the lab's code after a run, and again here after the lab has saved it", () =>
    Effect.gen(function* () {
      const filename = yield* fileWith(lab)
      yield* withStore(filename, completeAll)
      const [first] = JSON.parse(python(load, filename))
      assert.deepStrictEqual(first, {
        id: "task-001",
        description: "Write a haiku about orchestration",
        status: "completed",
        result: "task-001 is done",
        attempts: 1,
        metadata: {}
      })
      python(loadAndSave, filename)
      assert.notInclude(textOf(filename), "baton")
      const result = yield* withStore(filename, (store) => find(store, "task-001"))
      assert.strictEqual(result.status, "completed")
      assert.strictEqual(result.result, "task-001 is done")
    })
  )

  it.effect.skipIf(!hasPython)("is exactly what Python's json.dump writes", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const metadata = { "né\u007f\u2028": ["\u{1f600}", {}, [], null, true, 1.5, -3], "": { a: [[]] } }
      yield* withStore(filename, (store) =>
        Effect.gen(function* () {
          yield* store.add([task("ä\n\"\\'/"), task("b", { metadata, priority: 2, dependsOn: ["ä\n\"\\'/"] })])
          const claimed = yield* claimOne(store)
          yield* store.settle([complete(claimed, "日本\ttab\u0001")])
          yield* store.request("pause")
        })
      )
      assert.strictEqual(textOf(filename), python(rewrite, filename))
      assert.match(textOf(filename), /^[\0-\x7e]*$/)
    })
  )

  it.effect("has the fields of the lab, and of others only those in use", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* TestClock.setTime(Date.UTC(2026, 0, 5, 9, 0, 0))
      yield* withStore(filename, (store) => store.add([task("a"), task("b", { priority: -1, dependsOn: ["a"] })]))
      assert.strictEqual(
        textOf(filename),
        `{
  "tasks": [
    {
      "id": "a",
      "description": "Do a.",
      "status": "pending",
      "result": null,
      "attempts": 0,
      "metadata": {},
      "baton": {
        "createdAt": "2026-01-05T09:00:00.000Z"
      }
    },
    {
      "id": "b",
      "description": "Do b.",
      "status": "pending",
      "result": null,
      "attempts": 0,
      "metadata": {},
      "baton": {
        "priority": -1,
        "dependsOn": [
          "a"
        ],
        "waitsFor": [
          "a"
        ],
        "createdAt": "2026-01-05T09:00:00.000Z"
      }
    }
  ]
}`
      )
    })
  )

  it.effect("has all tasks in the queue default when it names no queue", () =>
    Effect.gen(function* () {
      const filename = yield* fileWith(lab)
      yield* withStore(filename, (store) =>
        Effect.gen(function* () {
          const { tasks } = yield* store.list({ queue: "default" })
          assert.deepStrictEqual(
            tasks.map(({ id, overrides, payload, queue }) => [id, queue, payload, overrides]),
            ["task-001", "task-002", "task-003"].map((name) => [name, "default", undefined, {}])
          )
        })
      )
      yield* withStore(filename, completeAll)
      assert.notInclude(textOf(filename), "queue")
    })
  )

  it.effect("keeps the queue, the payload and the overrides of a task, and leaves out the defaults", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const letter = {
        queue: "letters",
        payload: { to: ["ä", null, 1.5] },
        overrides: { maxAttempts: 1, model: "m" }
      }
      const given = [letter, { queue: "default", payload: "text", overrides: {} }, { payload: null }]
      yield* withStore(filename, (store) => store.add(given.map((options, index) => task(`task-${index}`, options))))
      const saved = (): ReadonlyArray<object> =>
        dataOf(filename).tasks.map(
          ({ baton: { overrides, payload, queue } }: { readonly baton: Record<string, unknown> }) => ({
            queue,
            payload,
            overrides
          })
        )
      const nothing = { queue: undefined, payload: undefined, overrides: undefined }
      assert.deepStrictEqual(saved(), [letter, { ...nothing, payload: "text" }, nothing])
      yield* withStore(filename, (store) =>
        Effect.gen(function* () {
          const [claimed] = yield* store.claim({
            queues: ["letters"],
            limit: 9,
            owner: "worker",
            lease: Duration.minutes(1)
          })
          assert.isDefined(claimed)
          assert.deepInclude(claimed.task, letter)
          yield* store.settle([complete(claimed)])
          assert.deepInclude(yield* find(store, "task-1"), { queue: "default", payload: "text", overrides: {} })
        })
      )
      assert.deepStrictEqual(saved()[0], letter)
    })
  )

  it.effect("is not written by reading", () =>
    Effect.gen(function* () {
      const text = `\uFEFF {"tasks" :[ ] , "x":1}\r\n`
      const filename = yield* fileWith(text)
      yield* withStore(filename, (store) => Effect.andThen(store.list(), claim(store)))
      assert.strictEqual(textOf(filename), text)
    })
  )

  it.effect("keeps the exact text of unknown fields, their order, and numbers that JavaScript would round", () =>
    Effect.gen(function* () {
      const odd = `{"a":1.0,  "big": 12345678901234567890,"e":1E400, "esc":"\\u00e9"}`
      const filename = yield* fileWith(`{
  "version": 1.10,
  "tasks": [
    {"max_attempts": 7, "id": "a", "x": ${odd}, "metadata": ${odd.replace("1E400", "1E10")}, "description": "Do \\u0061."},
    {   "description": "Do b.", "id": "b" }
  ],
  "notes": ["kept",   "as is"]
}
`)
      yield* withStore(filename, (store) =>
        Effect.gen(function* () {
          const claimed = yield* claimOne(store)
          assert.strictEqual(claimed.task.description, "Do a.")
          yield* store.settle([complete(claimed)])
        })
      )
      const text = textOf(filename)
      const kept = [
        `{\n  "version": 1.10,\n  "tasks": [\n    {\n      "max_attempts": 7,\n      "id": "a",\n      "x": ${odd},\n`,
        `      "metadata": ${odd.replace("1E400", "1E10")},\n      "description": "Do \\u0061.",\n      "status": "completed",\n`,
        `    },\n    {   "description": "Do b.", "id": "b" }\n  ],\n  "notes": ["kept",   "as is"]\n}\n`
      ]
      for (const part of kept) assert.include(text, part)
      assert.isTrue(text.startsWith(kept[0] ?? "") && text.endsWith(kept[2] ?? ""))
    })
  )

  it.effect("limits the attempts of a task by the lab's max_attempts, which a revision changes", () =>
    Effect.gen(function* () {
      const filename = yield* fileWith(one(`, "max_attempts": 2`))
      const limit = (store: TaskStore.TaskStore["Service"]) =>
        Effect.map(find(store, "a"), ({ overrides }) => overrides.maxAttempts)
      assert.strictEqual(yield* withStore(filename, limit), 2)
      for (const maxAttempts of [5, undefined]) {
        const overrides = maxAttempts === undefined ? {} : { maxAttempts }
        const work = Task.makeNew({ id: "a", description: "Do a.", overrides })
        yield* withStore(filename, (store) => store.revise([{ taskId: work.id, work }]))
        assert.strictEqual(yield* withStore(filename, limit), maxAttempts)
        assert.strictEqual(textOf(filename).includes(`"max_attempts": 5`), maxAttempts === 5)
        assert.notInclude(textOf(filename), "maxAttempts")
      }
      for (const other of ["0", `"many"`, "null", "1.5"]) {
        const odd = yield* fileWith(one(`, "max_attempts": ${other}`))
        assert.isUndefined(yield* withStore(odd, limit))
        yield* withStore(odd, (store) =>
          Effect.flatMap(claimOne(store), (claimed) => store.settle([complete(claimed)]))
        )
        assert.include(textOf(odd), `"max_attempts": ${other}`)
      }
    })
  )

  it.effect("stays ASCII if it was, and otherwise keeps its characters", () =>
    Effect.gen(function* () {
      const ascii = yield* fileWith(one(`, "metadata": {"x": "\\u00e9"}`))
      const unicode = yield* fileWith(one(`, "metadata": {"x": "é"}`))
      for (const filename of [ascii, unicode]) {
        yield* withStore(filename, (store) =>
          Effect.gen(function* () {
            const claimed = yield* claimOne(store)
            yield* store.settle([complete(claimed, "日本")])
          })
        )
        assert.strictEqual((yield* withStore(filename, (store) => find(store, "a"))).result, "日本")
      }
      assert.include(textOf(ascii), `"result": "\\u65e5\\u672c"`)
      assert.include(textOf(unicode), `"result": "日本"`)
      assert.include(textOf(unicode), `{"x": "é"}`)
    })
  )

  it.effect("can omit everything but ids and descriptions", () =>
    Effect.gen(function* () {
      const filename = yield* fileWith(one(`, "metadata": null`))
      const found = yield* withStore(filename, (store) => find(store, "a"))
      const morning = DateTime.makeUnsafe("2026-01-05T09:00:00.000Z")
      assert.deepInclude(found, { status: "pending", attempts: 0, metadata: {}, priority: 0 })
      assert.notProperty(found, "result")
      assert.deepEqual([found.createdAt, found.updatedAt, found.availableAt], [morning, morning, morning])
    })
  )

  it.effect("can be empty, or contain no tasks", () =>
    Effect.gen(function* () {
      for (const text of ["", " \n", "{}", `{"tasks": []}`, `{"other": 1}\n`]) {
        const filename = yield* fileWith(text)
        yield* withStore(filename, (store) =>
          Effect.gen(function* () {
            assert.deepStrictEqual((yield* store.list()).tasks, [])
            yield* store.add([task("a")])
          })
        )
        assert.strictEqual(dataOf(filename).tasks[0].id, "a")
        yield* withStore(filename, (store) =>
          Effect.gen(function* () {
            yield* store.cancel({ status: "pending" })
            yield* store.prune({ statuses: ["cancelled"] })
          })
        )
        assert.deepStrictEqual(dataOf(filename).tasks, [])
        if (text.includes("other")) assert.strictEqual(textOf(filename), `{\n  "other": 1,\n  "tasks": []\n}\n`)
      }
    })
  )

  it.effect("keeps a task in progress, and the next sweep ends its attempt, which counts", () =>
    Effect.gen(function* () {
      const filename = yield* fileWith(one(`, "status": "in_progress", "attempts": 2`))
      yield* withStore(filename, (store) =>
        Effect.gen(function* () {
          assert.strictEqual(yield* store.awaitWork({ untilDrained: true }), "claimable")
          const [swept] = yield* store.sweep(patient)
          assert.deepEqual(swept, { ...lease("a", 2), status: "pending", attempts: 2, owner: "unknown", started: true })
          const { task, token } = yield* claimOne(store)
          assert.deepStrictEqual([token, task.attempts], [3, 3])
        })
      )
      assert.strictEqual(dataOf(filename).tasks[0].attempts, 3)
    })
  )

  it.effect("stores a cancelled task as failed, because the lab has no other status", () =>
    Effect.gen(function* () {
      const filename = yield* fileWith(lab)
      yield* withStore(filename, (store) => store.cancel({ ids: [id("task-002")] }))
      const saved = dataOf(filename).tasks[1]
      assert.deepStrictEqual([saved.status, saved.baton.cancelled], ["failed", true])
      if (hasPython) assert.strictEqual(JSON.parse(python(load, filename))[1].status, "failed")
      yield* withStore(filename, (store) =>
        Effect.gen(function* () {
          assert.strictEqual((yield* find(store, "task-002")).status, "cancelled")
          yield* store.requeue({ status: "cancelled" })
        })
      )
      assert.isUndefined(dataOf(filename).tasks[1].baton.cancelled)
    })
  )

  it.effect("contains a pause while runs are paused", () =>
    Effect.gen(function* () {
      const filename = yield* fileWith(`${lab}\n`)
      yield* withStore(filename, (store) => store.request("pause"))
      assert.strictEqual(
        textOf(filename),
        `${lab.replace(/\}$/, "")}`.replace(/\n$/, `,\n  "baton": {\n    "paused": true\n  }\n}\n`)
      )
      yield* withStore(filename, (store) =>
        Effect.gen(function* () {
          assert.isTrue((yield* store.control).paused)
          yield* store.request("resume")
        })
      )
      assert.strictEqual(textOf(filename), `${lab}\n`)
    })
  )

  it.effect("keeps the greatest lease token of the deleted tasks, also while runs are paused", () =>
    Effect.gen(function* () {
      const filename = yield* fileWith(lab)
      yield* withStore(filename, (store) =>
        Effect.gen(function* () {
          const claimed = yield* claimOne(store)
          yield* store.settle([complete(claimed)])
          yield* store.prune({ statuses: ["completed"] })
          assert.deepStrictEqual(dataOf(filename).baton, { tokenFloor: claimed.token })
          yield* store.request("pause")
          assert.deepStrictEqual(dataOf(filename).baton, { paused: true, tokenFloor: claimed.token })
          yield* store.request("resume")
          assert.deepStrictEqual(dataOf(filename).baton, { tokenFloor: claimed.token })
        })
      )
      yield* withStore(filename, (store) => store.request("pause"))
      assert.deepStrictEqual(dataOf(filename).baton, { paused: true, tokenFloor: 1 })
    })
  )

  it.effect("omits the history on request, and still contains what the next attempt needs", () =>
    Effect.gen(function* () {
      const filename = yield* fileWith(lab)
      const write = { history: false }
      yield* withStore(
        filename,
        (store) =>
          Effect.gen(function* () {
            const first = yield* claimOne(store)
            yield* store.settle([fail(first, "half of it", "Only half.")])
          }),
        write
      )
      const { baton } = dataOf(filename).tasks[0]
      assert.isUndefined(baton.history)
      assert.deepInclude(baton, { token: 1, feedback: "Only half.", previousOutput: "half of it" })
      yield* withStore(
        filename,
        (store) =>
          Effect.gen(function* () {
            yield* store.requeue({ status: "failed" })
            const again = (yield* claim(store, 3)).find((claimed) => claimed.task.id === "task-001")
            assert.deepStrictEqual([again?.token, again?.previousOutput], [2, "half of it"])
            yield* store.request("stop")
          }),
        write
      )
      const [left] = yield* withStore(filename, dumpAll, write)
      assert.strictEqual(left?.previousOutput, "half of it")
      assert.deepStrictEqual(
        left?.attempts.map(({ outcome, token }) => [token, outcome]),
        [
          [1, "retried"],
          [2, "running"]
        ]
      )
    })
  )
})

describe("a JSON store whose file was edited", () => {
  /** A file with the task `a`, which Baton completed, and a task that depends on it. */
  const edited = Effect.fnUntraced(function* (change: (fields: Record<string, unknown>) => void) {
    const filename = yield* fileWith(one(""))
    yield* withStore(filename, (store) =>
      Effect.gen(function* () {
        yield* store.add([task("b", { dependsOn: ["a"] })])
        const claimed = yield* claimOne(store)
        yield* store.settle([complete(claimed)])
      })
    )
    const data = dataOf(filename)
    change(data.tasks[0])
    writeFileSync(filename, JSON.stringify(data))
    return filename
  })

  const outcomes = (filename: string) =>
    withStore(filename, (store) =>
      Effect.map(store.attempts(id("a")), (attempts) => attempts.map(({ outcome, token }) => [token, outcome]))
    )

  it.effect("executes a task again that was set back to pending, with its previous output", () =>
    Effect.gen(function* () {
      const filename = yield* edited((fields) => {
        fields["status"] = "pending"
        fields["attempts"] = 0
      })
      assert.deepStrictEqual(yield* outcomes(filename), [[1, "retried"]])
      yield* withStore(filename, (store) =>
        Effect.gen(function* () {
          const { previousOutput, task, token } = yield* claimOne(store)
          assert.deepStrictEqual([token, task.attempts, previousOutput], [2, 1, "a is done"])
        })
      )
    })
  )

  it.effect("accepts a corrected result", () =>
    Effect.gen(function* () {
      const filename = yield* edited((fields) => {
        fields["result"] = "corrected"
        fields["attempts"] = 5
      })
      assert.strictEqual((yield* withStore(filename, (store) => find(store, "a"))).result, "corrected")
      assert.deepStrictEqual(yield* outcomes(filename), [[1, "completed"]])
    })
  )

  it.effect("accepts a task that was set to completed, and frees its dependants", () =>
    Effect.gen(function* () {
      const filename = yield* fileWith(one(""))
      yield* withStore(filename, (store) =>
        Effect.gen(function* () {
          yield* store.add([task("b", { dependsOn: ["a"] })])
          yield* claim(store)
        })
      )
      const data = dataOf(filename)
      data.tasks[0].status = "completed"
      data.tasks[0].result = "by hand"
      writeFileSync(filename, JSON.stringify(data))
      assert.deepStrictEqual(yield* outcomes(filename), [
        [1, "lease_expired"],
        [2, "completed"]
      ])
      yield* withStore(filename, (store) =>
        Effect.gen(function* () {
          assert.strictEqual((yield* find(store, "a")).result, "by hand")
          assert.deepStrictEqual(
            (yield* claim(store)).map(({ task }) => task.id),
            [id("b")]
          )
        })
      )
    })
  )

  it.effect("treats a task that was set to in progress as abandoned", () =>
    Effect.gen(function* () {
      const filename = yield* edited((fields) => {
        fields["status"] = "in_progress"
      })
      assert.deepStrictEqual(yield* outcomes(filename), [
        [1, "retried"],
        [2, "running"]
      ])
      const swept = yield* withStore(filename, (store) => store.sweep(patient))
      assert.strictEqual(swept.length, 1)
    })
  )

  it.effect("accepts a completed task without a result, which the lab can write", () =>
    Effect.gen(function* () {
      const filename = yield* fileWith(one(`, "status": "completed", "result": null, "attempts": 0`))
      yield* opened(filename)
      assert.strictEqual((yield* withStore(filename, (store) => find(store, "a"))).result, "")
    })
  )
})
