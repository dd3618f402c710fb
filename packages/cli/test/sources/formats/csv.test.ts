import { Task } from "@baton/core"
import { assert } from "@effect/vitest"
import { Effect, FileSystem, Schema, Stream } from "effect"
import { Csv } from "effect/encoding"
import { readTasks } from "../../../src/sources/readTasks.ts"
import { complaints, describeSources, descriptions, read, readOne } from "../sourceFiles.ts"

const packages = new URL("../fixtures/packages.csv", import.meta.url).pathname

describeSources("csv", (it) => {
  it.effect("reads one task per row, with the other columns as metadata", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* readOne("a.csv", "title,description,n\nA,Do a,\n"), {
        description: "Do a",
        metadata: { title: "A", n: "" }
      })
    })
  )

  it.effect("reports the physical line of each row, also after quoted line breaks of every kind", () =>
    Effect.gen(function* () {
      const content = 'description,b\r\n"one\ntwo\r\nthree",x\r\n\r\nfour,"y\n\n"\r\nfive,z\n"six",""'
      assert.deepStrictEqual(yield* descriptions("a.csv", content), [
        [2, "one\ntwo\r\nthree"],
        [6, "four"],
        [9, "five"],
        [10, "six"]
      ])
    })
  )

  it.effect("ignores a byte order mark and spaces around column names", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* readOne("a.csv", "\uFEFFdescription , n\nx, 1\n"), {
        description: "x",
        metadata: { n: " 1" }
      })
    })
  )

  it.effect("skips a column without a name", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* readOne("a.csv", ",description,\n0,x,\n"), { description: "x" })
    })
  )

  it.effect("reads the fields of a task from columns with their names", () =>
    Effect.gen(function* () {
      const content =
        'id,description,priority,availableAt,dependsOn,metadata\na,x,-3,2026-03-01,"b; c,b","{""k"": [1]}"\nb,y,,,,\n'
      const [first, second] = yield* read("a.csv", content)
      assert.strictEqual(String(first?.task.availableAt), "DateTime.Utc(2026-03-01T00:00:00.000Z)")
      const { availableAt: _, ...task } = first?.task ?? {}
      assert.deepEqual(task, {
        id: "a",
        description: "x",
        metadata: { k: [1] },
        priority: -3,
        dependsOn: ["b", "c"]
      })
      assert.deepStrictEqual(second, { line: 3, task: Task.makeNew({ id: "b", description: "y" }) })
    })
  )

  it.effect("separates fields by tabs in a .tsv file", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* readOne("a.tsv", "description\tn\nx, y\t1\n"), {
        description: "x, y",
        metadata: { n: "1" }
      })
    })
  )

  it.effect("renders a template with the columns", () =>
    Effect.gen(function* () {
      const template = "Summarise {{title}}: {{description}}"
      assert.deepStrictEqual(yield* readOne("a.csv", "title,description\nA,about a\n", { template }), {
        description: "Summarise A: about a",
        metadata: { title: "A", description: "about a" }
      })
    })
  )

  it.effect("omits the description from the metadata if the template only copies it", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* readOne("a.csv", "n,description\n1,x\n", { template: "{{description}}" }), {
        description: "x",
        metadata: { n: "1" }
      })
    })
  )

  it.effect("reads every row of a real file", () =>
    Effect.gen(function* () {
      const tasks = yield* Stream.runCollect(readTasks(packages, { template: "{{package}}: {{description}}" }))
      assert.strictEqual(tasks.length, 30)
      assert.strictEqual(new Set(tasks.map(({ task }) => task.id)).size, 30)
      const text = yield* Effect.flatMap(FileSystem.FileSystem, (fs) => fs.readFileString(packages))
      const lines = text.split("\n")
      for (const { line, task } of tasks) {
        assert.isTrue(lines[line - 1]?.startsWith(`${String(task.metadata?.["package"])},`), `line ${line}`)
      }
    })
  )

  it.effect("finds no tasks in a file without rows", () =>
    Effect.gen(function* () {
      for (const content of ["", "\n\n", "description\n"]) assert.deepStrictEqual(yield* read("a.csv", content), [])
    })
  )

  it.effect("reports a row with the wrong number of fields and continues", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("a.csv", 'description,n\n"a\nb",1\nc\nd,1,2\n,1\n'), [
        "a.csv:4: this row has 1 field, but there are 2 columns; put fields that contain a delimiter, a quote or a line break in double quotes",
        "a.csv:5: this row has 3 fields, but there are 2 columns; put fields that contain a delimiter, a quote or a line break in double quotes",
        "a.csv:6: the description is empty; write what the task is to do"
      ])
    })
  )

  it.effect("reports the line of a row with an unclosed quote", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("a.csv", 'description,n\n"a\nb",1\nc,"d\ne,2\n'), [
        "a.csv:4: field 2 of this row starts with a double quote that is never closed"
      ])
    })
  )

  it.effect("reports a quote in the middle of a field", () =>
    Effect.gen(function* () {
      const message =
        'of this row has a double quote in the middle; put the field in double quotes and write the inner ones twice ("")'
      assert.deepStrictEqual(yield* complaints("a.csv", 'n,description\n1,a 5" disk\n'), [
        `a.csv:2: field 2 ${message}`
      ])
      assert.deepStrictEqual(yield* complaints("a.csv", 'n,description\n"a" b,x\n'), [`a.csv:2: field 1 ${message}`])
    })
  )

  it.effect("reports a missing description column once", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("a.csv", "\nid,title\n1,A\n2,B\n"), [
        "a.csv:2: the column \"description\" is missing; the columns are id, title; add it, or build it from others with --template '… {{title}} …'"
      ])
    })
  )

  it.effect("finds semicolons and tabs between the columns of a .csv file, and takes another delimiter", () =>
    Effect.gen(function* () {
      const tables: ReadonlyArray<readonly [content: string, delimiter?: string]> = [
        ["id;description\n1;a, b\n"],
        ['"id, or name";id;description\nx;1;"a, b"\n'],
        ["id\tdescription\n1\ta, b\n"],
        ["id|description\n1|a, b\n", "|"]
      ]
      for (const [content, delimiter] of tables) {
        const [task] = yield* read("a.csv", content, { delimiter })
        assert.deepStrictEqual([task?.task.id, task?.task.description], [Task.TaskId.make("1"), "a, b"])
      }
    })
  )

  it.effect("suggests the column of a template that is written in another case", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("a.csv", "id,Title\n1,A\n", { template: "{{ID}}" }), [
        "a.csv:1: the template uses {{ID}}, but this column does not exist; the columns are id, Title; did you mean {{id}}?"
      ])
    })
  )

  it.effect("finds the fields of a task in columns with names in any case", () =>
    Effect.gen(function* () {
      const content = "ID,Description,PRIORITY,dependson,Team\n1,A,2,,x\n2,B,3,1,y\n"
      assert.deepStrictEqual(
        (yield* read("a.csv", content)).map(({ task }) => task),
        [
          Task.makeNew({ id: "1", description: "A", priority: 2, metadata: { Team: "x" } }),
          Task.makeNew({ id: "2", description: "B", priority: 3, dependsOn: ["1"], metadata: { Team: "y" } })
        ]
      )
    })
  )

  it.effect("reads a priority in words as data, and reports it in a column that was chosen", () =>
    Effect.gen(function* () {
      const content = "id,description,priority,Importance\n1,A,high,7\n2,B,low,soon\n"
      assert.deepStrictEqual(
        (yield* read("a.csv", content)).map(({ task }) => task.metadata),
        [
          { priority: "high", Importance: "7" },
          { priority: "low", Importance: "soon" }
        ]
      )
      const columns = new Map([["priority", "Importance"] as const])
      assert.deepStrictEqual(yield* complaints("a.csv", content, { columns }), [
        'a.csv:3: "priority" must be a whole number (higher runs first), but is "soon"'
      ])
      const [task] = yield* read("a.csv", content.replace("soon", "1"), { columns })
      assert.deepInclude(task?.task, { priority: 7, metadata: { priority: "high" } })
    })
  )

  it.effect("reports a chosen column that does not exist", () =>
    Effect.gen(function* () {
      const columns = new Map([["id", "Key"] as const])
      assert.deepStrictEqual(yield* complaints("a.csv", "id,description\n1,A\n", { columns }), [
        "a.csv:1: --column id=Key names a column that does not exist; the columns are id, description"
      ])
    })
  )

  it.effect("reads a quote in a .tsv file as text, except around a whole field", () =>
    Effect.gen(function* () {
      const content = 'id\tdescription\r\n1\ta 5" disk\r\n2\t"said" she\r\n3\t"a ""b""\tc\r\nd"\r\n4\tx\r\n'
      assert.deepStrictEqual(yield* descriptions("a.tsv", content), [
        [2, 'a 5" disk'],
        [3, '"said" she'],
        [4, 'a "b"\tc\r\nd'],
        [6, "x"]
      ])
    })
  )

  it.effect("reports a template field without a column once", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("a.csv", "id,title\n1,A\n2,B\n", { template: "{{titel}}" }), [
        "a.csv:1: the template uses {{titel}}, but this column does not exist; the columns are id, title"
      ])
    })
  )

  it.effect("reports two columns with the same name", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("a.csv", "description,n,n\nx,1,2\n"), [
        'a.csv:1: two columns are named "n"; rename one of them'
      ])
    })
  )

  const Text = Schema.String.check(Schema.makeFilter((text) => text.isWellFormed()))
  const Rows = Schema.Array(Schema.Struct({ description: Text, note: Text }))
  it.effect.prop("reads back every table, with the lines of its rows", [Rows], ([rows]) =>
    Effect.gen(function* () {
      const columns = ["description", "note"]
      const written = rows.map(({ description, note }) => ({ description: `x${description}`, note }))
      const records = yield* Stream.fromIterable(written).pipe(
        Stream.pipeThroughChannel(Csv.encodeString({ columns, headers: true, newline: "\n" })),
        Stream.runCollect
      )
      const breaks = (text: string) => text.match(/\r\n|\r|\n/g)?.length ?? 0
      assert.deepStrictEqual(
        (yield* read("a.csv", records.join(""))).map(({ line, task }) => [line, task.description, task.metadata]),
        written.map(({ description, note }, i) => [
          1 + records.slice(0, i + 1).reduce((count, record) => count + breaks(record), 0),
          description,
          { note }
        ])
      )
    })
  )
})
