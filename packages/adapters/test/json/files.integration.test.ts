import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Logger, Scope } from "effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { join } from "node:path"
import { JsonTaskStore } from "@baton/adapters/json"
import * as OtherProcess from "./otherProcess.ts"
import { claimOne, complete, dataOf, find, opened, task, textOf, withStore } from "./stores.ts"
import { folder } from "./temporary.ts"

const newFile = Effect.map(folder, (path) => join(path, "tasks.json"))

const mode = (filename: string) => fs.statSync(filename).mode & 0o7777

const add = (filename: string, name: string) => withStore(filename, (store) => store.add([task(name)]))

const names = (filename: string) => dataOf(filename).tasks.map(({ id }: { readonly id: string }) => id)

const refusal = (filename: string) => Effect.map(Effect.flip(opened(filename)), ({ message }) => message)

/** A file system of 64 kB, until the scope is closed. Only root can mount one. */
const tinyDisk = Effect.acquireRelease(
  Effect.map(folder, (path) => {
    const { status } = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", path])
    return status === 0 ? path : undefined
  }),
  (path) => Effect.sync(() => path !== undefined && spawnSync("umount", [path]))
)

const canMount = Effect.runSync(Effect.scoped(tinyDisk)) !== undefined

describe("the file of a JSON store", () => {
  it.effect("is created by the first write, with its folder, for this user alone", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const filename = join(path, "new", "folders", "tasks.json")
      yield* opened(filename)
      assert.deepStrictEqual(fs.readdirSync(join(path, "new", "folders")), [])
      yield* add(filename, "a")
      assert.deepStrictEqual(fs.readdirSync(join(path, "new", "folders")), ["tasks.json"])
      assert.strictEqual(mode(filename), 0o600)
      assert.strictEqual(mode(join(path, "new")), 0o700)
    })
  )

  it.effect("keeps its mode and its owner", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      fs.writeFileSync(filename, "{}")
      fs.chmodSync(filename, 0o664)
      if (process.getuid?.() === 0) fs.chownSync(filename, 1234, 2345)
      const { gid, uid } = fs.statSync(filename)
      yield* add(filename, "a")
      assert.strictEqual(mode(filename), 0o664)
      assert.deepInclude(fs.statSync(filename), { gid, uid })
    })
  )

  it.effect("is replaced behind a link, and the link stays a link", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const filename = join(path, "elsewhere", "real.json")
      fs.mkdirSync(join(path, "elsewhere"))
      fs.writeFileSync(filename, "{}")
      fs.symlinkSync(filename, join(path, "tasks.json"))
      yield* add(join(path, "tasks.json"), "a")
      assert.isTrue(fs.lstatSync(join(path, "tasks.json")).isSymbolicLink())
      assert.deepStrictEqual(names(filename), ["a"])
    })
  )

  it.effect("cannot be a folder, a device, or below a file", () =>
    Effect.gen(function* () {
      const path = yield* folder
      fs.writeFileSync(join(path, "file"), "")
      assert.strictEqual(yield* refusal(path), `${path} is a folder: name a file for the tasks.`)
      assert.strictEqual(yield* refusal("/dev/null"), "/dev/null is not a file: name a file for the tasks.")
      const below = join(path, "file", "tasks.json")
      assert.strictEqual(
        yield* refusal(below),
        `The folder of ${below} cannot be created, because a file is in its way: name another file.`
      )
    })
  )

  it.live("is refused if the user cannot write the file or its folder", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const filename = join(path, "tasks.json")
      fs.writeFileSync(filename, "{}")
      // Root can write every file, so tests that run as root use another user.
      const user = process.getuid?.() === 0 ? { uid: 65_534 } : undefined
      const refusedWith = Effect.fnUntraced(function* (folderMode: number, fileMode: number) {
        fs.chmodSync(path, folderMode)
        fs.chmodSync(filename, fileMode)
        const other = yield* OtherProcess.make
        const message = yield* Effect.flip(other.call({ op: "open", filename, ...user }))
        fs.chmodSync(path, 0o755)
        assert.strictEqual(
          message,
          `${filename} cannot be written: give this user write permission for the file and its folder.`
        )
      })
      yield* refusedWith(0o777, 0o444)
      yield* refusedWith(0o555, 0o666)
      assert.deepStrictEqual(fs.readdirSync(path), ["tasks.json"])
    })
  )

  it.effect("that was edited while in use is kept in another file, with a warning, and no change is lost", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      const logged: Array<string> = []
      const logger = Logger.make(({ message }) => void logged.push(String(message)))
      yield* withStore(filename, (store) =>
        Effect.gen(function* () {
          yield* store.add([task("a")])
          const claimed = yield* claimOne(store)
          for (const edit of ["edited once", "edited twice"]) {
            fs.writeFileSync(filename, edit)
            yield* store.add([task(edit)])
          }
          yield* store.settle([complete(claimed)])
        })
      ).pipe(Effect.provide(Logger.layer([logger])))
      assert.deepStrictEqual(names(filename), ["a", "edited once", "edited twice"])
      assert.strictEqual(textOf(`${filename}.edited`), "edited once")
      assert.strictEqual(textOf(`${filename}.edited-2`), "edited twice")
      assert.deepStrictEqual(
        logged,
        Array.from(
          { length: 2 },
          () => "The file was edited while it was in use; the edited version is in another file"
        )
      )
      assert.strictEqual((yield* withStore(filename, (store) => find(store, "a"))).status, "completed")
    })
  )

  it.effect("that was deleted while in use is created again", () =>
    Effect.gen(function* () {
      const filename = yield* newFile
      yield* withStore(filename, (store) =>
        Effect.gen(function* () {
          yield* store.add([task("a")])
          fs.rmSync(filename)
          yield* store.add([task("b")])
        })
      )
      assert.deepStrictEqual(names(filename), ["a", "b"])
    })
  )

  it.effect("whose folder is gone fails the write with a message", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "inner")
      const filename = join(path, "tasks.json")
      const scope = yield* Scope.make()
      const store = yield* Scope.provide(JsonTaskStore.make({ filename }), scope)
      fs.rmSync(path, { recursive: true })
      const error = yield* Effect.flip(store.add([task("a")]))
      assert.strictEqual(error.message, `The folder of ${filename} is gone: was it moved or deleted?`)
      yield* Scope.close(scope, Exit.void)
    })
  )

  it.effect.skipIf(!canMount)("on a full disk stays unchanged; once there is space, the same operation succeeds", () =>
    Effect.gen(function* () {
      const path = yield* tinyDisk
      const filename = join(path ?? "", "tasks.json")
      yield* withStore(filename, (store) =>
        Effect.gen(function* () {
          yield* store.add([task("a")])
          const claimed = yield* claimOne(store)
          const before = textOf(filename)
          fs.writeFileSync(`${path}/ballast`, Buffer.alloc(48_000))
          const settlement = complete(claimed, "x".repeat(20_000))
          const error = yield* Effect.flip(store.settle([settlement]))
          assert.strictEqual(error.reason, "Unavailable")
          assert.strictEqual(error.message, `No space is left on the disk that holds ${filename}: free some.`)
          assert.strictEqual(textOf(filename), before)
          assert.deepStrictEqual(fs.readdirSync(path ?? "").toSorted(), ["ballast", "tasks.json", "tasks.json.lock"])
          fs.rmSync(`${path}/ballast`)
          assert.deepStrictEqual(yield* store.settle([settlement]), { lost: [] })
        })
      )
      assert.strictEqual((yield* withStore(filename, (store) => find(store, "a"))).result?.length, 20_000)
    })
  )
})
