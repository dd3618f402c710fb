import { Task, TaskStore } from "@baton/core"
import { assert } from "@effect/vitest"
import { Effect, FileSystem, Layer, Option, Schema } from "effect"
import { importSources } from "../../src/sources/importSources.ts"
import type { ReadOptions } from "../../src/sources/readTasks.ts"
import { fingerprint } from "../../src/sources/stableId.ts"
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
      options
    )
  const complaints = (...names: ReadonlyArray<string>) =>
    Effect.map(Effect.flip(Effect.catchTag(load(names), "TaskStoreError", Effect.die)), (error) =>
      messageLines(error, `${directory}/`, "")
    )
  return { put, load, complaints }
})

const stored = Effect.gen(function* () {
  const store = yield* TaskStore.TaskStore
  return (yield* store.list()).tasks
})

const storedIds = Effect.map(stored, (tasks) => tasks.map(({ id }) => String(id)))

/** What the suite runs each of its tests on: a store of its own. */
const fresh = <A, E, R>(test: Effect.Effect<A, E, R>) => Effect.provide(test, Layer.fresh(TaskStore.layerMemory))

/** A place for an id in an order that the seed decides. */
const order = (seed: number, id: string) => Number.parseInt(fingerprint(`${seed}${id}`).slice(0, 8), 16)

describeSources("importSources", (it) => {
  it.effect("adds the tasks of every source, and nothing when they are imported again", () =>
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

  it.effect("adds only what is new when a source has grown", () =>
    Effect.gen(function* () {
      const { load, put } = yield* project({ "a.txt": "one\n" })
      yield* load(["a.txt"])
      yield* put("a.txt", "zero\none\n")
      const { added, existing } = yield* load(["a.txt"])
      assert.deepStrictEqual([added, existing], [1, 1])
    }).pipe(fresh)
  )

  it.effect("keeps equal lines of one source apart, and takes equal lines of two for one", () =>
    Effect.gen(function* () {
      const { load } = yield* project({ "a.txt": "one\none\n", "b.txt": "one\n" })
      const { added, existing } = yield* load(["a.txt", "b.txt"])
      assert.deepStrictEqual([added, existing], [2, 1])
    }).pipe(fresh)
  )

  it.effect("imports a source that is named twice once", () =>
    Effect.gen(function* () {
      const { load } = yield* project({ "a.txt": "one\n" })
      assert.strictEqual((yield* load(["a.txt", "a.txt"])).perSource.length, 1)
    }).pipe(fresh)
  )

  it.effect("imports standard input, in the given format and with the template", () =>
    Effect.gen(function* () {
      const { load } = yield* project({})
      const { perSource } = yield* load(["-"], { format: "csv", template: "Do {{what}}" })
      assert.deepStrictEqual(perSource, [{ source: "<stdin>", added: 1, existing: 0, skipped: 0 }])
      assert.deepStrictEqual((yield* stored)[0]?.description, "Do it")
    }).pipe(fresh, Effect.provide(stdin("what\nit\n")))
  )

  it.effect("adds tasks by the thousand, in the order of the source", () =>
    Effect.gen(function* () {
      const sizes: Array<number> = []
      const store = yield* TaskStore.TaskStore
      const counting = Layer.succeed(TaskStore.TaskStore, {
        ...store,
        add: (tasks) => {
          sizes.push(tasks.length)
          return store.add(tasks)
        }
      })
      const lines = Array.from({ length: 2500 }, (_, i) => `line ${i}`)
      const { load } = yield* project({ "a.txt": lines.join("\n") })
      assert.strictEqual((yield* Effect.provide(load(["a.txt"]), counting)).added, 2500)
      assert.deepStrictEqual(sizes, [1000, 1000, 500])
      const { tasks } = yield* store.list({ limit: 5000 })
      assert.deepStrictEqual(
        tasks.map(({ description }) => description),
        lines
      )
    }).pipe(fresh)
  )

  it.effect("adds sooner when the tasks are large, so as not to hold them all", () =>
    Effect.gen(function* () {
      const sizes: Array<number> = []
      const store = yield* TaskStore.TaskStore
      const counting = Layer.succeed(TaskStore.TaskStore, {
        ...store,
        add: (tasks) => {
          sizes.push(tasks.length)
          return store.add(tasks)
        }
      })
      const { load } = yield* project({
        "a.txt": Array.from({ length: 5 }, (_, i) => `${i}`.repeat(2_100_000)).join("\n")
      })
      yield* Effect.provide(load(["a.txt"]), counting)
      assert.deepStrictEqual(sizes, [2, 2, 1])
    }).pipe(fresh)
  )

  it.effect("adds tasks after those they depend on, wherever those are", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      yield* store.add([Task.make({ id: "there", description: "already there" })])
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

  it.effect("keeps the order of the source when each task comes after those it depends on", () =>
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
    "adds every list without a dependency cycle, in whatever order it is written",
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
    "adds nothing of a list with a dependency cycle, wherever it is and in whatever order it is written",
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

  it.effect("imports every row of a real file, and warns of descriptions that a template leaves empty", () =>
    Effect.gen(function* () {
      const packages = new URL("fixtures/packages.csv", import.meta.url).pathname
      const result = yield* importSources([packages], { template: "{{description}}" })
      assert.strictEqual(result.added, 30)
      assert.deepStrictEqual(result.warnings, [
        `${packages}:143: the template renders an empty description from this record and from 1 more`
      ])
      assert.strictEqual((yield* importSources([packages], { template: "{{description}}" })).existing, 30)
    }).pipe(fresh)
  )

  it.effect("takes a dependency on a task that was completed before as met", () =>
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

  it.effect("warns of a source without tasks", () =>
    Effect.gen(function* () {
      const { load } = yield* project({ "a.txt": "", "b.md": "# Plan\n", "c.md": "- [x] done\n" })
      const { warnings } = yield* load(["a.txt", "b.md", "c.md"])
      assert.deepStrictEqual(
        warnings.map((warning) => warning.replace(/^.*\//, "")),
        [
          "a.txt: there is no task in it",
          "b.md: there is no task in it; a task is an open checkbox, such as - [ ] write the report"
        ]
      )
    }).pipe(fresh)
  )

  it.effect("adds nothing of any source when one is wrong, and tells of all that is wrong", () =>
    Effect.gen(function* () {
      const { complaints } = yield* project({
        "a.txt": "fine\n",
        "b.jsonl": '"fine"\n""\n{"id": "a", "description": "x", "priority": "high"}\n',
        "c.csv": "description,n\nx\n"
      })
      assert.deepStrictEqual(yield* complaints("a.txt", "b.jsonl", "c.csv"), [
        "b.jsonl:2: the description is empty; say what is to be done",
        'b.jsonl:3: "priority" must be a whole number (higher runs first), got "high"',
        "c.csv:2: this row has 1 field, but there are 2 columns; a field with a comma, a quote or a line break in it goes in double quotes"
      ])
      assert.deepStrictEqual(yield* stored, [])
    }).pipe(fresh)
  )

  it.effect("names both lines of an id that two tasks have, in one source or in two", () =>
    Effect.gen(function* () {
      const { complaints } = yield* project({
        "a.jsonl":
          '{"id": "a", "description": "x"}\n\n{"id": "a", "description": "y"}\n{"id": "b", "description": "x"}\n',
        "b.csv": "id,description,n\nb,x,1\na,x,\n"
      })
      assert.deepStrictEqual(yield* complaints("a.jsonl", "b.csv"), [
        'a.jsonl:3: the id "a" is already that of another task, on line 1; give each task an id of its own',
        'b.csv:2: the id "b" is already that of another task, on a.jsonl:4; give each task an id of its own',
        'b.csv:3: the id "a" is already that of another task, on a.jsonl:1; give each task an id of its own'
      ])
    }).pipe(fresh)
  )

  it.effect("takes the same record twice under one id for one task", () =>
    Effect.gen(function* () {
      const { load } = yield* project({
        "a.jsonl": '{"id": "a", "description": "x"}\n{"description": "x", "id": "a"}\n'
      })
      const { added, existing } = yield* load(["a.jsonl"])
      assert.deepStrictEqual([added, existing], [1, 1])
    }).pipe(fresh)
  )

  it.effect("tells of an id that the store has for another task, before anything is added", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      yield* store.add([Task.make({ id: "a", description: "other" })])
      const { complaints } = yield* project({
        "a.jsonl": '"new"\n{"id": "a", "description": "x"}\n{"id": "b", "description": "y"}\n'
      })
      assert.deepStrictEqual(yield* complaints("a.jsonl"), [
        'a.jsonl:2: the id "a" belongs to a task with another description in the store; give this one an id of its own'
      ])
      assert.deepStrictEqual(yield* storedIds, ["a"])
    }).pipe(fresh)
  )

  it.effect("maps what the store refuses at the last moment to its line", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      const raced = Layer.succeed(TaskStore.TaskStore, {
        ...store,
        add: (tasks) => Effect.andThen(store.add([Task.make({ id: "a", description: "theirs" })]), store.add(tasks))
      })
      const { complaints } = yield* project({ "a.jsonl": '"x"\n{"id": "a", "description": "ours"}\n' })
      const [line] = yield* Effect.provide(complaints("a.jsonl"), raced)
      assert.match(line ?? "", /^a\.jsonl:2: The id "a" belongs to a task with another description/)
    }).pipe(fresh)
  )

  it.effect("tells of a dependency that is nowhere, or was cancelled", () =>
    Effect.gen(function* () {
      const { complaints } = yield* project({
        "a.jsonl": [
          '{"id": "a", "description": "x", "dependsOn": ["gone", "b"]}',
          '{"id": "b", "description": "x", "status": "cancelled", "attempts": 0}'
        ].join("\n")
      })
      assert.deepStrictEqual(yield* complaints("a.jsonl"), [
        'a.jsonl:1: depends on "gone", which is neither in the import nor in the store',
        'a.jsonl:1: depends on "b", which was cancelled; take it out of dependsOn, or set its status to pending'
      ])
    }).pipe(fresh)
  )

  it.effect("does not hold a broken record against those that depend on it", () =>
    Effect.gen(function* () {
      const { complaints } = yield* project({
        "a.jsonl": '{"id": "a", "description": ""}\n{"id": "b", "description": "x", "dependsOn": ["a"]}\n'
      })
      assert.deepStrictEqual(yield* complaints("a.jsonl"), [
        "a.jsonl:1: the description is empty; say what is to be done"
      ])
    }).pipe(fresh)
  )

  it.effect("names the ids of a dependency cycle in order", () =>
    Effect.gen(function* () {
      const ring = (ids: ReadonlyArray<string>) =>
        ids.map((id, i) => JSON.stringify({ id, description: id, dependsOn: [ids[(i + 1) % ids.length]] })).join("\n")
      const { complaints } = yield* project({
        "a.jsonl": `${ring(["a", "b", "c"])}\n${ring(["self"])}`,
        "b.jsonl": ring(["1", "2", "3", "4", "5", "6", "7", "8", "9"])
      })
      assert.deepStrictEqual(yield* complaints("a.jsonl", "b.jsonl"), [
        "a.jsonl:1: these tasks wait for each other, so none can start: a → b → c → a; take one dependency out",
        'a.jsonl:4: "self" depends on itself, so it can never start; take it out of its dependsOn',
        "b.jsonl:1: these tasks wait for each other, so none can start: 1 → 2 → 3 → 4 → 5 → 6 → 7 → 8 → … → 1; take one dependency out"
      ])
    }).pipe(fresh)
  )

  it.effect("says so when a file changes between the two readings", () =>
    Effect.gen(function* () {
      const { complaints, put } = yield* project({ "a.txt": "one\n", "b.jsonl": '"two"\n' })
      const store = yield* TaskStore.TaskStore
      const meddling = (content: string) =>
        Layer.succeed(TaskStore.TaskStore, {
          ...store,
          get: (id) => Effect.andThen(Effect.orDie(put("b.jsonl", content)), store.get(id))
        })
      yield* store.add([Task.make({ id: "x", description: "x" })])
      yield* put("a.jsonl", '{"id": "new", "description": "new", "dependsOn": ["x"]}\n')
      assert.deepStrictEqual(yield* Effect.provide(complaints("b.jsonl", "a.jsonl"), meddling("{")), [
        "b.jsonl:1: the file changed while it was imported (not valid JSON at column 2: expected a field name in double quotes, found the end); import it again"
      ])
    }).pipe(fresh)
  )

  it.effect("looks up ids in the store only when there is something in it", () =>
    Effect.gen(function* () {
      const store = yield* TaskStore.TaskStore
      const asked: Array<string> = []
      const watched = Layer.succeed(TaskStore.TaskStore, {
        ...store,
        get: (id) => {
          asked.push(id)
          return Effect.succeed(Option.none())
        }
      })
      const { load } = yield* project({ "a.jsonl": '{"id": "a", "description": "x"}\n"y"\n' })
      yield* Effect.provide(load(["a.jsonl"]), watched)
      assert.deepStrictEqual(asked, [])
      yield* Effect.provide(load(["a.jsonl"]), watched)
      assert.deepStrictEqual(asked, ["a"])
    }).pipe(fresh)
  )
})
