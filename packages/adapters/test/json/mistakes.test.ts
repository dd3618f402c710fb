import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { opened } from "./stores.ts"
import { folder } from "./temporary.ts"

const task = (fields: string) => `{\n  "tasks": [\n    { "id": "a", "description": "Do a.", ${fields} }\n  ]\n}`

/** Texts that cannot be read, and their messages. */
const mistakes: ReadonlyArray<readonly [what: string, text: string | Uint8Array, says: string]> = [
  ["a truncated file", `{\n  "tasks": [\n    {"id": "a"`, ":3:15: expected a comma or }, found the end"],
  ["a missing comma", `{\n  "tasks": []\n  "x": 1\n}`, `:3:3: expected a comma or }, found "x": 1`],
  ["a trailing comma", `{"tasks": [],}`, ":1:14: expected a field name in double quotes, found }"],
  ["two documents", `{"tasks": []} {}`, ":1:15: expected the end, found {}"],
  ["a comment", `// tasks\n{}`, `:1:1: expected an object that contains "tasks", found // tasks`],
  ["a value that Python writes", task(`"metadata": {"score": NaN}`), ":3:64: expected a value, found NaN} }"],
  ["an invalid number", task(`"attempts": 01`), ":3:54: expected a value, found 01 }"],
  [
    "a string on two lines",
    `{"tasks": [{"id": "a\nb"}]}`,
    ":1:19: this string is not closed before the end of its line"
  ],
  ["an invalid escape", `{"tasks": [{"id": "C:\\q"}]}`, ":1:19: this string has an invalid escape"],
  ["deep nesting", `{"x": ${"[".repeat(5000)}`, ":1:1006: nested deeper than 1000 levels"],
  ["bytes that are not UTF-8", Buffer.from([0x7b, 0xff, 0x7d]), " is not UTF-8 text: save it as UTF-8"],
  ["a list", `[]`, `:1:1: expected an object that contains "tasks", found []`],
  ["tasks that are not a list", `{"tasks": {}}`, `:1:11: expected a list as "tasks", found {}}`],
  ["a task that is not an object", `{"tasks": [\n  "a"]}`, `:2:3: expected a task, which is an object, found "a"]}`],
  ["a task without an id", `{"tasks": [{"description": "x"}]}`, ":1:12: tasks[0].id: missing key"],
  [
    "an empty id",
    `{"tasks": [{"id": "", "description": "x"}]}`,
    ":1:19: tasks[0].id: expected a value with a length of"
  ],
  ["an id that is a number", `{"tasks": [{"id": 1, "description": "x"}]}`, ":1:19: tasks[0].id: expected string"],
  ["a task without a description", `{"tasks": [{"id": "a"}]}`, ":1:12: tasks[0].description: missing key"],
  [
    "an unknown status",
    task(`"status": "done"`),
    `:3:52: tasks[0].status: expected "pending" | "in_progress" | "in_review" | "completed" | "failed" | "cancelled"`
  ],
  ["a result that is not text", task(`"result": {}`), ":3:52: tasks[0].result: expected string | null"],
  ["attempts that are not an integer", task(`"attempts": 1.5`), ":3:54: tasks[0].attempts: expected an integer"],
  [
    "attempts below zero",
    task(`"attempts": -1`),
    ":3:54: tasks[0].attempts: expected a value greater than or equal to 0"
  ],
  ["metadata that is a list", task(`"metadata": []`), ":3:54: tasks[0].metadata: expected object | null"],
  [
    "an invalid field of Baton",
    task(`"baton": { "history": [{ "number": "one" }] }`),
    ":3:51: tasks[0].baton.history[0].number: expected"
  ],
  [
    "a queue without a name",
    task(`"baton": { "queue": "" }`),
    ":3:51: tasks[0].baton.queue: expected a name of 1 to 100 characters, without control characters"
  ],
  ["an invalid pause", `{"tasks": [], "baton": {"paused": 1}}`, ":1:24: baton.paused: expected boolean"],
  [
    "a duplicate id",
    `{"tasks": [{"id": "a", "description": "x"},\n{"id": "a", "description": "y"}]}`,
    `:2:8: the id "a" is already used at 1:19`
  ],
  [
    "an unknown dependency",
    task(`"baton": { "dependsOn": ["b"] }`),
    `:3:51: the task depends on "b", which is not in the file`
  ]
]

describe("a JSON store on a file that cannot be read", () => {
  for (const [what, text, says] of mistakes) {
    it.effect(`reports the position and the problem: ${what}`, () =>
      Effect.gen(function* () {
        const path = yield* folder
        const filename = join(path, "tasks.json")
        writeFileSync(filename, text)
        const error = yield* Effect.flip(opened(filename))
        assert.strictEqual(error.reason, "Unusable")
        assert.isTrue(error.message.startsWith(filename + says), `"${error.message}"`)
        assert.match(error.message, /^[^\n]*[^.]\.$/)
        assert.deepStrictEqual(readdirSync(path), ["tasks.json"])
        assert.deepStrictEqual(readFileSync(filename), Buffer.from(text))
      })
    )
  }
})
