import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Random, Scope } from "effect"
import { existsSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import { JsonTaskStore } from "@baton/adapters/json"
import * as OtherProcess from "../../json/otherProcess.ts"
import { dataOf, isLocked, opened, task, withStore } from "../../json/stores.ts"
import { folder } from "../../json/temporary.ts"

const newFile = Effect.map(folder, (path) => join(path, "tasks.json"))

const refusal = (filename: string) => Effect.map(Effect.flip(opened(filename)), ({ message }) => message)

const owner = (fields: object) =>
  `${JSON.stringify({ pid: process.pid, host: hostname(), since: "2026-01-05T09:00:00.000Z", started: null, ...fields })}\n`

/** A pid that no process has: operating systems use smaller ones. */
const noPid = 2 ** 30

describe("the lock of a JSON store", () => {
  it.live("refuses a second process with the name of the first, until the first has closed the file", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const other = yield* OtherProcess.make
      yield* other.call({ op: "open", filename })
      const message = yield* refusal(filename)
      assert.match(
        message,
        /^\S+tasks.json is in use by process \d+ on \S+ since \S+: wait for it to end, or keep the tasks in a store/
      )
      assert.include(message, `process ${other.pid} on ${hostname()}`)
      yield* other.call({ op: "add", id: "a" })
      yield* other.call({ op: "close" })
      assert.isFalse(isLocked(filename))
      assert.strictEqual((yield* withStore(filename, (store) => store.counts)).pending, 1)
    })
  )

  it.live("refuses a second store in this process, also under another name of the file", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* withStore(filename, (store) =>
        Effect.gen(function* () {
          yield* store.add([task("a")])
          symlinkSync(filename, `${filename}.link`)
          for (const name of [filename, `${filename}.link`]) {
            assert.strictEqual(
              yield* refusal(name),
              `${name} is already open in this process: use that store, or close it first.`
            )
          }
        })
      )
      yield* opened(`${filename}.link`)
    })
  )

  it.live("is taken over from a process that has ended", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const other = yield* OtherProcess.make
      yield* other.call({ op: "open", filename })
      yield* other.call({ op: "add", id: "a" })
      yield* other.kill
      assert.isTrue(isLocked(filename))
      assert.strictEqual((yield* withStore(filename, (store) => store.counts)).pending, 1)
      assert.deepStrictEqual(readdirSync(join(filename, "..")), ["tasks.json"])
    })
  )

  it.live.skipIf(!existsSync("/proc/self/stat"))("is taken over when another process has its pid", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      writeFileSync(`${filename}.lock`, owner({ pid: process.ppid, started: "1" }))
      yield* opened(filename)
      assert.isFalse(isLocked(filename))
    })
  )

  it.live("is taken over when it is empty, because its process died while it created it", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      writeFileSync(`${filename}.lock`, "")
      yield* opened(filename)
      assert.isFalse(isLocked(filename))
    })
  )

  it.live("is respected if its process cannot be checked, and the message says what to do", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const lock = `${filename}.lock`
      for (const [text, says] of [
        [
          owner({ pid: noPid, host: "elsewhere" }),
          `${filename} is in use by process ${noPid} on elsewhere since 2026-01-05T09:00:00.000Z, which cannot be checked ` +
            `from here: end that process, or delete ${lock} if it is gone.`
        ],
        [
          "someone\n",
          `${filename} is locked by ${lock}, which cannot be read: delete that file if no process uses ${filename}.`
        ]
      ] as const) {
        writeFileSync(lock, text)
        assert.strictEqual(yield* refusal(filename), says)
        assert.strictEqual(readFileSync(lock, "utf8"), text)
      }
    })
  )

  it.live("is created again when it was deleted, and refuses others again", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* withStore(filename, (store) =>
        Effect.gen(function* () {
          rmSync(`${filename}.lock`)
          yield* store.add([task("a")])
          assert.include(yield* refusal(filename), "is already open in this process")
        })
      )
      assert.isFalse(isLocked(filename))
    })
  )

  it.live("that another process has taken stops every write", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const store = yield* JsonTaskStore.make({ filename })
      yield* store.add([task("a")])
      rmSync(`${filename}.lock`)
      const other = yield* OtherProcess.make
      yield* other.call({ op: "open", filename })
      const error = yield* Effect.flip(store.add([task("b")]))
      assert.include(error.message, `${filename} is in use by process ${other.pid}`)
      yield* other.call({ op: "add", id: "c" })
      assert.deepStrictEqual(
        dataOf(filename).tasks.map(({ id }: { readonly id: string }) => id),
        ["a", "c"]
      )
    })
  )

  it.live("goes to one of several processes that find it abandoned", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const others = yield* Effect.replicateEffect(OtherProcess.make, 3)
      writeFileSync(`${filename}.lock`, owner({ pid: noPid }))
      const opening = (other: OtherProcess.OtherProcess) =>
        Effect.match(other.call({ op: "open", filename }), { onSuccess: () => [other], onFailure: () => [] })
      // Two may believe that they have it: the first write decides.
      const owners = (yield* Effect.forEach(others, opening, { concurrency: 3 })).flat()
      const written = yield* Effect.forEach(
        owners,
        (other) => Effect.exit(other.call({ op: "add", id: String(other.pid) })),
        { concurrency: 3 }
      )
      assert.strictEqual(written.filter(Exit.isSuccess).length, 1)
      assert.strictEqual(dataOf(filename).tasks.length, 1)
    })
  )
})

describe("a JSON store whose process is killed", () => {
  it.live("contains the old contents or the new ones, and everything that was reported as completed", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const done = new Set<unknown>()
      for (let round = 0; round < 4; round++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const other = yield* OtherProcess.make
            yield* other.call({ op: "open", filename })
            yield* other.tell({ op: "work", prefix: `round-${round}` })
            const reports = yield* Random.nextIntBetween(3, 40)
            for (let count = 0; count < reports; count++) done.add(yield* other.reply)
            yield* other.kill
            for (const reply of yield* other.replies) if ("value" in reply) done.add(reply.value)
          })
        )
        const tasks: ReadonlyArray<{ readonly id: string; readonly status: string }> = dataOf(filename).tasks
        const completed = new Set(tasks.flatMap(({ id, status }) => (status === "completed" ? id : [])))
        assert.deepStrictEqual(
          Array.from(done).filter((id) => !completed.has(String(id))),
          []
        )
      }
      assert.isAtLeast(done.size, 12)
      const counts = yield* withStore(filename, (store) => store.counts)
      assert.isAtLeast(counts.completed, done.size)
      assert.deepStrictEqual(readdirSync(join(filename, "..")), ["tasks.json"])
    })
  )

  it.live("leaves at most a temporary file, which the next process removes", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* withStore(filename, (store) => store.add([task("a")]))
      const scope = yield* Scope.make()
      writeFileSync(`${filename}.baton-tmp`, `{"tasks": [{"id":`)
      yield* Scope.provide(JsonTaskStore.make({ filename }), scope)
      assert.deepStrictEqual(readdirSync(join(filename, "..")), ["tasks.json", "tasks.json.lock"])
      yield* Scope.close(scope, Exit.void)
    })
  )
})
