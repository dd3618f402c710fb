import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { baton, type Folder, list, live } from "./baton.ts"
import * as tmux from "./tmux.ts"

const run = (dir: Folder, template: string, ...args: ReadonlyArray<string>) =>
  baton(dir.path, ["run", "books.csv", "--template", template, "--exec", "cat", "--no-verify", "-j", "1", ...args])

const descriptions = (dir: Folder) =>
  Effect.map(list(dir.path), (tasks) => tasks.map(({ description, status }) => `${status}: ${description}`).toSorted())

const withIds = "id,title\na,Emma\nb,Dracula\nc,Ulysses\n"
const withoutIds = "title\nEmma\nDracula\nUlysses\n"

/** One completed and two pending tasks. */
const begun = (dir: Folder, csv: string) =>
  Effect.gen(function* () {
    dir.write("books.csv", csv)
    assert.strictEqual((yield* run(dir, "Read {{title}}", "--max-iterations", "1")).code, 3)
  })

for (const [kind, csv] of [
  ["ids", withIds],
  ["no ids", withoutIds]
] as const) {
  describe(`a changed template for rows with ${kind}`, () => {
    live("is refused without a terminal, with what changed and the flag that decides", (dir) =>
      Effect.gen(function* () {
        yield* begun(dir, csv)
        const before = yield* descriptions(dir)
        const { code, stderr } = yield* run(dir, "Sum up {{title}}")
        assert.strictEqual(code, 1)
        assert.include(
          stderr,
          "3 tasks of the sources have another text than in the store: 0 new, 3 changed (2 pending, 1 completed), 0 gone, 0 unchanged."
        )
        assert.include(stderr, 'books.csv:2: "Read Emma" is now "Sum up Emma"')
        assert.include(stderr, "--on-changed update")
        assert.deepStrictEqual(yield* descriptions(dir), before)
      })
    )

    live("updates pending tasks in their places", (dir) =>
      Effect.gen(function* () {
        yield* begun(dir, csv)
        const before = yield* list(dir.path)
        const { code, stderr } = yield* run(dir, "Sum up {{title}}", "--on-changed", "update")
        assert.strictEqual(code, 0, stderr)
        assert.include(stderr, "3 changed (2 pending, 1 completed)")
        assert.deepStrictEqual(yield* descriptions(dir), [
          "completed: Read Emma",
          "completed: Sum up Dracula",
          "completed: Sum up Ulysses"
        ])
        const ids = (tasks: typeof before) => tasks.map(({ id }) => id)
        assert.deepStrictEqual(ids(yield* list(dir.path)), ids(before))
        const again = yield* run(dir, "Sum up {{title}}", "--on-changed", "update")
        assert.include(again.stderr, "1 changed (1 completed)")
      })
    )

    live("keeps all tasks, and adds new rows", (dir) =>
      Effect.gen(function* () {
        yield* begun(dir, csv)
        dir.write("books.csv", `${csv}${kind === "ids" ? "d," : ""}Walden\n`)
        const { code, stderr } = yield* run(dir, "Sum up {{title}}", "--on-changed", "keep")
        assert.strictEqual(code, 0, stderr)
        assert.include(stderr, "books.csv: 1 task added, 3 already in the store")
        assert.deepStrictEqual(yield* descriptions(dir), [
          "completed: Read Dracula",
          "completed: Read Emma",
          "completed: Read Ulysses",
          "completed: Sum up Walden"
        ])
      })
    )

    live("runs finished tasks again", (dir) =>
      Effect.gen(function* () {
        yield* begun(dir, csv)
        const { code, stderr } = yield* run(dir, "Sum up {{title}}", "--on-changed", "rerun")
        assert.strictEqual(code, 0, stderr)
        assert.deepStrictEqual(yield* descriptions(dir), [
          "completed: Sum up Dracula",
          "completed: Sum up Emma",
          "completed: Sum up Ulysses"
        ])
        const again = yield* run(dir, "Sum up {{title}}")
        assert.include(again.stderr, "Nothing to do: all 3 tasks are already completed")
        const { stdout } = yield* baton(dir.path, ["show", (yield* list(dir.path))[0]?.id ?? "", "--json"])
        assert.strictEqual(stdout.match(/"outcome": ?"completed"/g)?.length, 2)
      })
    )
  })
}

describe("an added column", () => {
  live("does not run a list without ids again", (dir) =>
    Effect.gen(function* () {
      dir.write("books.csv", withoutIds)
      yield* run(dir, "Read {{title}}")
      dir.write("books.csv", "title,author\nEmma,Austen\nDracula,Stoker\nUlysses,Joyce\n")
      const { code, stderr } = yield* run(dir, "Read {{title}}")
      assert.strictEqual(code, 0, stderr)
      assert.include(stderr, "books.csv: 0 tasks added, 3 already in the store")
      const changed = yield* run(dir, "Read {{title}} by {{author}}", "--on-changed", "rerun")
      assert.strictEqual(changed.code, 0, changed.stderr)
      assert.deepStrictEqual(yield* descriptions(dir), [
        "completed: Read Dracula by Stoker",
        "completed: Read Emma by Austen",
        "completed: Read Ulysses by Joyce"
      ])
    })
  )
})

describe("a list without ids", () => {
  live("may exchange rows that have the same fields as others", (dir) =>
    Effect.gen(function* () {
      dir.write("list.csv", "description,kind\none,x\ntwo,x\n")
      const args = ["run", "list.csv", "--exec", "cat", "--no-verify"]
      yield* baton(dir.path, args)
      dir.write("list.csv", "description,kind\none,x\nthree,x\n")
      const { code, stderr } = yield* baton(dir.path, args)
      assert.strictEqual(code, 0, stderr)
      assert.include(stderr, "list.csv: 1 task added, 1 already in the store")
    })
  )
})

describe("--id-from", () => {
  live("names the columns that identify a row, whatever else changes in it", (dir) =>
    Effect.gen(function* () {
      dir.write("books.csv", "isbn,language,title\n1,de,Emma\n1,fr,Emma\n")
      const idFrom = ["--id-from", "isbn, language"]
      yield* run(dir, "Read {{title}}", ...idFrom)
      assert.deepStrictEqual(
        (yield* list(dir.path)).map(({ id }) => id),
        ["1/de", "1/fr"]
      )
      dir.write("books.csv", "isbn,language,title\n1,de,Emma (1815)\n1,fr,Emma\n")
      const { code, stderr } = yield* run(dir, "Read {{title}}", ...idFrom)
      assert.strictEqual(code, 1)
      assert.include(stderr, "1 task of the sources has another text than in the store: 0 new, 1 changed (1 completed)")
    })
  )

  live("is refused if a column does not exist or a row has no value in it", (dir) =>
    Effect.gen(function* () {
      dir.write("books.csv", "isbn,title\n1,Emma\n,Dracula\n")
      const unknown = yield* run(dir, "Read {{title}}", "--id-from", "ibsn")
      assert.include(
        unknown.stderr,
        '--id-from names the column "ibsn", which does not exist; the columns are isbn, title'
      )
      const empty = yield* run(dir, "Read {{title}}", "--id-from", "isbn")
      assert.include(empty.stderr, 'books.csv:3: "isbn" is empty, but --id-from makes the id from it')
    })
  )
})

describe.skipIf(!tmux.isInstalled)("a changed template on a terminal (needs tmux)", () => {
  live("is asked about; Ctrl-C changes nothing", (dir) =>
    Effect.gen(function* () {
      yield* begun(dir, withIds)
      const terminal = yield* tmux.open(dir.path, 120, 30)
      yield* terminal.enter("baton run books.csv --template 'Sum up {{title}}' --exec cat --no-verify")
      yield* terminal.line(/stop: change nothing/)
      yield* terminal.press("C-c")
      yield* terminal.line(/^Nothing was changed\.$/)
      yield* terminal.enter("echo code $?")
      yield* terminal.line(/^code 130$/)
      yield* terminal.enter("clear; baton run books.csv --template 'Sum up {{title}}' --exec cat --no-verify")
      yield* terminal.line(/stop: change nothing/)
      yield* terminal.press("Enter")
      yield* terminal.line(/^✓ 2 completed in .*; 3 of 3 tasks in all/)
      assert.deepStrictEqual(yield* descriptions(dir), [
        "completed: Read Emma",
        "completed: Sum up Dracula",
        "completed: Sum up Ulysses"
      ])
    }).pipe(Effect.scoped)
  )
})
