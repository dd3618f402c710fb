import { Task, TaskStore } from "@baton/core"
import { assert } from "@effect/vitest"
import { Effect, FileSystem, Layer, Schema } from "effect"
import { refuseChanges } from "../../src/run/onChanged.ts"
import { importSources } from "../../src/sources/importSources.ts"
import type { ReadOptions } from "../../src/sources/readTasks.ts"
import { fingerprint } from "../../src/sources/ids.ts"
import { describeSources, messageLines, stdin } from "./sourceFiles.ts"

/** Files in one directory, and imports of them by their names. */
const project = Effect.fnUntraced(function* (files: Readonly<Record<string, string>>) {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped()
  const put = (name: string, content: string) => fs.writeFileString(`${directory}/${name}`, content)
  yield* Effect.forEach(Object.entries(files), ([name, content]) => put(name, content))
  const load = (names: ReadonlyArray<string>, options?: ReadOptions) =>
    importSources(
      names.map((name) => (name === "-" ? name : `${directory}/${name}`)),
      { decide: refuseChanges, ...options }
    )
  const complaints = (...names: ReadonlyArray<string>) =>
    Effect.map(
      Effect.flip(Effect.catchTag(load(names), ["TaskStoreError", "CommandFailed", "EndedWith"], Effect.die)),
      (error) => messageLines(error, `${directory}/`, "")
    )
  return { put, load, complaints }
})

const stored = Effect.gen(function* () {
  const store = yield* TaskStore.TaskStore
  return (yield* store.list()).tasks
})

const storedIds = Effect.map(stored, (tasks) => tasks.map(({ id }) => String(id)))

/** Provides a separate store to each test. */
const fresh = <A, E, R>(test: Effect.Effect<A, E, R>) => Effect.provide(test, Layer.fresh(TaskStore.layerMemory))

type Store = TaskStore.TaskStore["Service"]

/** The store with another `add`, which is told how often it was called before. */
const withAdd = (
  add: (tasks: Parameters<Store["add"]>[0], calls: number) => ReturnType<Store["add"]>,
  changes?: Partial<Store>
) =>
  Layer.effect(
    TaskStore.TaskStore,
    Effect.map(TaskStore.TaskStore, (store) => {
      let calls = 0
      return { ...store, ...changes, add: (tasks) => add(tasks, calls++) }
    })
  )

/** A sort key for an id, derived from the seed. */
const order = (seed: number, id: string) => Number.parseInt(fingerprint(`${seed}${id}`).slice(0, 8), 16)

describeSources("importSources", (it) => {
  it.effect("adds the tasks of every source, and nothing on a second import", () =>
    Effect.gen(function* () {
      const { load } = yield* project({ "a.txt": "one\ntwo\n", "b.md": "- [ ] three\n- [x] four\n" })
      const first = yield* load(["a.txt", "b.md"])
      assert.deepStrictEqual([first.added, first.existing, first.skipped, first.warnings], [3, 0, 1, []])
      assert.deepStrictEqual(
        first.perSource.map(({ added, existing, skipped }) => [added, existing, skipped]),
        [
          [2, 0, 0],
          [1, 0, 1]
        ]
      )
      const { added, existing, skipped } = yield* load(["a.txt", "b.md"])
      assert.deepStrictEqual({ added, existing, skipped }, { added: 0, existing: 3, skipped: 1 })
      assert.deepStrictEqual(
        (yield* stored).map(({ description }) => description),
        ["one", "two", "three"]
      )
    }).pipe(fresh)
  )

  it.effect("adds only the new tasks when a source has grown", () =>
    Effect.gen(function* () {
      const { load, put } = yield* project({ "a.txt": "one\n" })
      yield* load(["a.txt"])
      yield* put("a.txt", "zero\none\n")
      const { added, existing } = yield* load(["a.txt"])
      assert.deepStrictEqual([added, existing], [1, 1])
    }).pipe(fresh)
  )

  it.effect("treats equal lines of one source as different tasks, and equal lines of two sources as one task", () =>
    Effect.gen(function* () {
      const { load } = yield* project({ "a.txt": "one\none\n", "b.txt": "one\n" })
      const { added, existing } = yield* load(["a.txt", "b.txt"])
      assert.deepStrictEqual([added, existing], [2, 1])
    }).pipe(fresh)
  )

  it.effect("imports a source only once if it is named twice", () =>
    Effect.gen(function* () {
      const { load } = yield* project({ "a.txt": "one\n" })
      assert.strictEqual((yield* load(["a.txt", "a.txt"])).perSource.length, 1)
    }).pipe(fresh)
  )

  it.effect("imports standard input with the given format and template", () =>
    Effect.gen(function* () {
      const { load } = yield* project({})
      const { perSource } = yield* load(["-"], { format: "csv", template: "Do {{what}}" })
      assert.deepStrictEqual(perSource, [{ source: "<stdin>", added: 1, existing: 0, skipped: 0 }])
      assert.deepStrictEqual((yield* stored)[0]?.description, "Do it")
    }).pipe(fresh, Effect.provide(stdin("what\nit\n")))
  )

  it.effect("adds a list in one write, in the order of the source, so that a kill leaves all of it or nothing", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      const dying = withAdd((tasks, written) => (written > 0 ? Effect.interrupt : store.add(tasks)))
      const lines = Array.from({ length: 2500 }, (_, i) => `line ${i}`)
      const { load } = yield* project({ "a.txt": lines.join("\n"), "b.txt": "x".repeat(6_000_000) })
      assert.strictEqual((yield* Effect.provide(load(["a.txt", "b.txt"]), dying)).added, 2501)
      const { tasks } = yield* store.list({ limit: 2500 })
      assert.deepStrictEqual(
        tasks.map(({ description }) => description),
        lines
      )
    }).pipe(fresh)
  )

  it.effect("adds a list in batches to a store that limits a write", () =>
    Effect.gen(function* () {
      const sizes: Array<number> = []
      const store = yield* TaskStore.TaskStore
      const counting = withAdd(
        (tasks) => {
          sizes.push(tasks.length)
          return store.add(tasks)
        },
        { addLimit: 1000 }
      )
      const { load } = yield* project({
        "a.txt": Array.from({ length: 2500 }, (_, i) => `line ${i}`).join("\n"),
        "b.txt": Array.from({ length: 5 }, (_, i) => `${i}`.repeat(2_100_000)).join("\n")
      })
      assert.strictEqual((yield* Effect.provide(load(["a.txt"]), counting)).added, 2500)
      assert.strictEqual((yield* Effect.provide(load(["b.txt"]), counting)).added, 5)
      assert.deepStrictEqual(sizes, [1000, 1000, 500, 2, 2, 1])
    }).pipe(fresh)
  )

  it.effect("adds tasks after their dependencies, wherever those are listed", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      yield* store.add([Task.makeNew({ id: "there", description: "already there" })])
      const { load } = yield* project({
        "a.jsonl":
          '{"id": "c", "description": "c", "dependsOn": ["b", "there"]}\n{"id": "b", "description": "b", "dependsOn": "a"}\n',
        "b.csv": "id,description,dependsOn\na,a,\nd,d,c\n"
      })
      const { perSource } = yield* load(["a.jsonl", "b.csv"])
      assert.deepStrictEqual(
        perSource.map(({ added }) => added),
        [2, 2]
      )
      assert.deepStrictEqual(yield* storedIds, ["there", "a", "b", "c", "d"])
      assert.strictEqual((yield* store.counts).waiting, 3)
      assert.strictEqual((yield* load(["a.jsonl", "b.csv"])).existing, 4)
    }).pipe(fresh)
  )

  it.effect("keeps the order of the source if each task is listed after its dependencies", () =>
    Effect.gen(function* () {
      const { load } = yield* project({
        "a.jsonl": [
          '{"id": "a", "description": "a"}',
          '{"id": "b", "description": "b", "dependsOn": "a"}',
          '"x"',
          '{"id": "c", "description": "c", "dependsOn": "a, b"}',
          '"y"'
        ].join("\n")
      })
      yield* load(["a.jsonl"])
      assert.deepStrictEqual(
        (yield* stored).map(({ description }) => description),
        ["a", "b", "x", "c", "y"]
      )
    }).pipe(fresh)
  )

  it.effect.prop(
    "adds every list without a dependency cycle, in any order",
    [Schema.Array(Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 })))), Schema.Int],
    ([rows, seed]) =>
      Effect.gen(function* () {
        const tasks = rows.map((row, i) => ({
          id: `t${i}`,
          description: `d${i}`,
          dependsOn: row.filter((to) => to < i).map((to) => `t${to}`)
        }))
        const shuffled = tasks.toSorted((a, b) => order(seed, a.id) - order(seed, b.id))
        const { load } = yield* project({ "a.jsonl": shuffled.map((task) => JSON.stringify(task)).join("\n") })
        assert.strictEqual((yield* load(["a.jsonl"])).added, tasks.length)
        const added = new Map((yield* stored).map((task, i) => [String(task.id), i]))
        for (const { dependsOn, id } of tasks) {
          for (const other of dependsOn) assert.isBelow(added.get(other) ?? Infinity, added.get(id) ?? -1)
        }
      }).pipe(fresh)
  )

  it.effect.prop(
    "adds nothing from a list with a dependency cycle, in any order",
    [
      Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 6 })),
      Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 6 })),
      Schema.Int
    ],
    ([length, others, seed]) =>
      Effect.gen(function* () {
        const ring = Array.from({ length }, (_, i) => ({
          id: `r${i}`,
          description: "r",
          dependsOn: [`r${(i + 1) % length}`]
        }))
        const chain = Array.from({ length: others }, (_, i) => ({
          id: `c${i}`,
          description: "c",
          dependsOn: [i === 0 ? "r0" : `c${i - 1}`]
        }))
        const shuffled = [...ring, ...chain].toSorted((a, b) => order(seed, a.id) - order(seed, b.id))
        const { complaints } = yield* project({ "a.jsonl": shuffled.map((task) => JSON.stringify(task)).join("\n") })
        const lines = yield* complaints("a.jsonl")
        assert.strictEqual(lines.length, 1)
        assert.match(lines[0] ?? "", /can (never )?start/)
        assert.deepStrictEqual(yield* stored, [])
      }).pipe(fresh)
  )

  it.effect("imports every row of a real file and warns about empty rendered descriptions", () =>
    Effect.gen(function* () {
      const packages = new URL("fixtures/packages.csv", import.meta.url).pathname
      const result = yield* importSources([packages], {
        template: "{{description}}",
        decide: refuseChanges
      })
      assert.strictEqual(result.added, 30)
      assert.deepStrictEqual(result.warnings, [
        `${packages}:143: the template renders an empty description for this record and 1 more`
      ])
      assert.strictEqual(
        (yield* importSources([packages], {
          template: "{{description}}",
          decide: refuseChanges
        })).existing,
        30
      )
    }).pipe(fresh)
  )

  it.effect("treats a dependency on a task that the source marks as completed as met", () =>
    Effect.gen(function* () {
      const { load } = yield* project({
        "a.json":
          '{"tasks": [{"id": "a", "description": "a", "status": "completed", "attempts": 1}, {"id": "b", "description": "b", "dependsOn": ["a"]}]}'
      })
      const { added, skipped } = yield* load(["a.json"])
      assert.deepStrictEqual([added, skipped], [1, 1])
      assert.deepStrictEqual(
        (yield* stored).map(({ dependsOn, id }) => [id, dependsOn]),
        [["b", []]] as ReadonlyArray<unknown>
      )
    }).pipe(fresh)
  )

  it.effect("warns about a source without tasks", () =>
    Effect.gen(function* () {
      const { load } = yield* project({ "a.txt": "", "b.md": "# Plan\n", "c.md": "- [x] done\n" })
      const { warnings } = yield* load(["a.txt", "b.md", "c.md"])
      assert.deepStrictEqual(
        warnings.map((warning) => warning.replace(/^.*\//, "")),
        ["a.txt: found no tasks", "b.md: found no tasks; write each task as a checkbox, such as - [ ] write the report"]
      )
    }).pipe(fresh)
  )

  it.effect("adds nothing if any source has a problem, and reports all problems", () =>
    Effect.gen(function* () {
      const { complaints } = yield* project({
        "a.txt": "fine\n",
        "b.jsonl": '"fine"\n""\n{"id": "a", "description": "x", "priority": "high"}\n',
        "c.csv": "description,n\nx\n"
      })
      assert.deepStrictEqual(yield* complaints("a.txt", "b.jsonl", "c.csv"), [
        "b.jsonl:2: the description is empty; write what the task is to do",
        'b.jsonl:3: "priority" must be a whole number (higher runs first), but is "high"',
        "c.csv:2: this row has 1 field, but there are 2 columns; put fields that contain a delimiter, a quote or a line break in double quotes"
      ])
      assert.deepStrictEqual(yield* stored, [])
    }).pipe(fresh)
  )

  it.effect("reports both lines if two tasks have the same id, in one source or two", () =>
    Effect.gen(function* () {
      const { complaints } = yield* project({
        "a.jsonl":
          '{"id": "a", "description": "x"}\n\n{"id": "a", "description": "y"}\n{"id": "b", "description": "x"}\n',
        "b.csv": "id,description,n\nb,x,1\na,x,\n"
      })
      assert.deepStrictEqual(yield* complaints("a.jsonl", "b.csv"), [
        'a.jsonl:3: the id "a" is already used by another task on line 1; give each task a different id',
        'b.csv:2: the id "b" is already used by another task on a.jsonl:4; give each task a different id',
        'b.csv:3: the id "a" is already used by another task on a.jsonl:1; give each task a different id'
      ])
    }).pipe(fresh)
  )

  it.effect("treats the same record with the same id as one task", () =>
    Effect.gen(function* () {
      const { load } = yield* project({
        "a.jsonl": '{"id": "a", "description": "x"}\n{"description": "x", "id": "a"}\n'
      })
      const { added, existing } = yield* load(["a.jsonl"])
      assert.deepStrictEqual([added, existing], [1, 1])
    }).pipe(fresh)
  )

  it.effect("refuses tasks whose text changed before anything is added", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      yield* store.add([Task.makeNew({ id: "a", description: "other" })])
      const { load } = yield* project({
        "a.jsonl": '"new"\n{"id": "a", "description": "x"}\n{"id": "b", "description": "y"}\n'
      })
      const { message } = yield* Effect.flip(load(["a.jsonl"]))
      assert.include(message, "1 task of the sources has another text than in the store: 2 new, 1 changed (1 pending)")
      assert.include(message, 'a.jsonl:2: "other" is now "x"')
      assert.include(message, "--on-changed rerun")
      assert.deepStrictEqual(yield* storedIds, ["a"])
    }).pipe(fresh)
  )

  it.effect("reports the line of a task that the store refuses during the import", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      const raced = Layer.succeed(TaskStore.TaskStore, {
        ...store,
        add: (tasks) => Effect.andThen(store.add([Task.makeNew({ id: "a", description: "theirs" })]), store.add(tasks))
      })
      const { complaints } = yield* project({ "a.jsonl": '"x"\n{"id": "a", "description": "ours"}\n' })
      const [line] = yield* Effect.provide(complaints("a.jsonl"), raced)
      assert.match(
        line ?? "",
        /^a\.jsonl:2: The id "a" belongs to another task, with another description, payload or queue/
      )
    }).pipe(fresh)
  )

  it.effect("reports a dependency that does not exist or was cancelled", () =>
    Effect.gen(function* () {
      const { complaints } = yield* project({
        "a.jsonl": [
          '{"id": "a", "description": "x", "dependsOn": ["gone", "b"]}',
          '{"id": "b", "description": "x", "status": "cancelled", "attempts": 0}'
        ].join("\n")
      })
      assert.deepStrictEqual(yield* complaints("a.jsonl"), [
        'a.jsonl:1: depends on "gone", which does not exist in the sources or the store; add it, or remove it from dependsOn',
        'a.jsonl:1: depends on "b", which was cancelled; remove it from dependsOn, or set its status to pending'
      ])
    }).pipe(fresh)
  )

  it.effect("does not report tasks that depend on an invalid record", () =>
    Effect.gen(function* () {
      const { complaints } = yield* project({
        "a.jsonl": '{"id": "a", "description": ""}\n{"id": "b", "description": "x", "dependsOn": ["a"]}\n'
      })
      assert.deepStrictEqual(yield* complaints("a.jsonl"), [
        "a.jsonl:1: the description is empty; write what the task is to do"
      ])
    }).pipe(fresh)
  )

  it.effect("lists the ids of a dependency cycle in order", () =>
    Effect.gen(function* () {
      const ring = (ids: ReadonlyArray<string>) =>
        ids.map((id, i) => JSON.stringify({ id, description: id, dependsOn: [ids[(i + 1) % ids.length]] })).join("\n")
      const { complaints } = yield* project({
        "a.jsonl": `${ring(["a", "b", "c"])}\n${ring(["self"])}`,
        "b.jsonl": ring(["1", "2", "3", "4", "5", "6", "7", "8", "9"])
      })
      assert.deepStrictEqual(yield* complaints("a.jsonl", "b.jsonl"), [
        "a.jsonl:1: these tasks depend on each other, so none can start: a → b → c → a; remove one dependency",
        'a.jsonl:4: "self" depends on itself, so it can never start; remove it from its dependsOn',
        "b.jsonl:1: these tasks depend on each other, so none can start: 1 → 2 → 3 → 4 → 5 → 6 → 7 → 8 → … → 1; remove one dependency"
      ])
    }).pipe(fresh)
  )

  it.effect("reports a file that changes between the two passes", () =>
    Effect.gen(function* () {
      const { complaints, put } = yield* project({ "a.txt": "one\n", "b.jsonl": '"two"\n' })
      const store = yield* TaskStore.TaskStore
      const meddling = (content: string) =>
        Layer.succeed(TaskStore.TaskStore, {
          ...store,
          get: (id) => Effect.andThen(Effect.orDie(put("b.jsonl", content)), store.get(id))
        })
      yield* store.add([Task.makeNew({ id: "x", description: "x" })])
      yield* put("a.jsonl", '{"id": "new", "description": "new", "dependsOn": ["x"]}\n')
      assert.deepStrictEqual(yield* Effect.provide(complaints("b.jsonl", "a.jsonl"), meddling("{")), [
        "b.jsonl:1: the file changed during the import (not valid JSON at column 2: expected a field name in double quotes, found the end); import it again"
      ])
    }).pipe(fresh)
  )

  it.effect("compares with the store only if the store has tasks", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      const asked: Array<string> = []
      const watched = Layer.succeed(TaskStore.TaskStore, {
        ...store,
        list: (query) => {
          asked.push("list")
          return store.list(query)
        }
      })
      const { load } = yield* project({ "a.jsonl": '{"id": "a", "description": "x"}\n"y"\n' })
      yield* Effect.provide(load(["a.jsonl"]), watched)
      assert.deepStrictEqual(asked, [])
      yield* Effect.provide(load(["a.jsonl"]), watched)
      assert.deepStrictEqual(asked, ["list"])
    }).pipe(fresh)
  )
})
