import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Path } from "effect"
import { selectionIn, load } from "../../src/settings/loadProject.ts"

/** Loads a configuration with this text. */
const loaded = Effect.fnUntraced(function* (text: string, profile?: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const file = path.join(yield* fs.makeTempDirectoryScoped(), "baton.config.ts")
  yield* fs.writeFileString(file, text)
  return yield* load({ file, profile })
})

const problem = (text: string, profile?: string) =>
  Effect.map(Effect.flip(loaded(text, profile)), ({ message }) => message.replace(/^.*(?=baton\.config\.ts)/, ""))

const test = <E>(name: string, effect: Effect.Effect<void, E, NodeServices.NodeServices>) =>
  it.live(name, () => Effect.provide(effect, NodeServices.layer))

describe("a configuration", () => {
  test(
    "is TypeScript that Node runs directly; its settings are converted to those of flags",
    Effect.gen(function* () {
      const project = yield* loaded(`
        import type { BatonConfig } from "@baton/cli/config"
        const limits: BatonConfig = { maxCost: 2.5, timeout: "90s", noVerify: true }
        export default { ...limits, exec: "wc -w", concurrency: 2 ** 3, prefetch: undefined } satisfies BatonConfig
      `)
      assert.deepStrictEqual(project?.settings, {
        maxCost: "2.5",
        timeout: "90s",
        noVerify: "true",
        exec: "wc -w",
        concurrency: "8"
      })
    }).pipe(Effect.scoped)
  )

  test(
    "applies a profile over the other settings; one kind of executor replaces another",
    Effect.gen(function* () {
      const text = `export default {
        exec: "wc -w", verify: "grep x", concurrency: 2,
        profiles: { nightly: { executor: "fake", concurrency: 16 } }
      }`
      assert.deepStrictEqual((yield* loaded(text))?.settings, { exec: "wc -w", verify: "grep x", concurrency: "2" })
      const nightly = yield* loaded(text, "nightly")
      assert.deepStrictEqual(nightly?.settings, { verify: "grep x", executor: "fake", concurrency: "16" })
      assert.match(nightly?.name ?? "", /baton\.config\.ts \(profile nightly\)$/)
      assert.deepStrictEqual(nightly?.flags.slice(2), ["--profile", "nightly"])
    }).pipe(Effect.scoped)
  )

  test(
    "reports the problem, its line and the expected value",
    Effect.gen(function* () {
      const setting = (line: string) => problem(`export default {\n  exec: "wc",\n  ${line}\n}\n`)
      assert.strictEqual(
        yield* setting("concurency: 2"),
        "baton.config.ts:3: unknown setting `concurency`; did you mean `concurrency`?"
      )
      assert.strictEqual(
        yield* setting("concurrency: [2]"),
        "baton.config.ts:3: `concurrency` takes a whole number of at least 1."
      )
      assert.match(yield* setting("executor: () => 1"), /^baton\.config\.ts:3: `executor` takes fake.* or \w+\.$/)
      assert.strictEqual(
        yield* setting("hooks: { onEnd: 1 }"),
        "baton.config.ts:3: `hooks` takes an array of functions from an event to an Effect."
      )
      assert.strictEqual(
        yield* setting("safety: { maxCost: 2 }"),
        "baton.config.ts:3: `safety` takes a layer; limits such as `maxCost` are separate settings."
      )
      assert.strictEqual(
        yield* problem("export default { profiles: { a: {}, b: {} } }", "c"),
        'baton.config.ts:1: unknown profile "c"; the profiles are a, b.'
      )
      assert.strictEqual(
        yield* problem("export const config = {}"),
        "baton.config.ts: there is no default export; write `export default defineConfig({ ... })`."
      )
      assert.match(yield* problem("const a = 1\nexport default {"), /^baton\.config\.ts(:\d)?: cannot be loaded: /)
      assert.strictEqual(yield* problem('throw new Error("boo")'), "baton.config.ts:1: cannot be loaded: boo")
      assert.match(
        yield* problem('import "no-such-thing"'),
        /^baton\.config\.ts(:1)?: imports "no-such-thing", which is not installed; run npm install --save-dev no-such-thing$/
      )
    }).pipe(Effect.scoped)
  )

  test(
    "must exist if a flag names it",
    Effect.gen(function* () {
      const missing = yield* Effect.flip(load({ file: "nowhere.ts", profile: undefined }))
      assert.strictEqual(missing.message, "The configuration nowhere.ts does not exist.")
      const profile = yield* Effect.flip(load({ file: undefined, profile: "nightly" }))
      assert.include(profile.message, "--profile nightly needs a baton.config.ts")
      assert.isNull(yield* load({ file: undefined, profile: undefined }))
    })
  )

  it("is selected by flags that are parsed before all others", () => {
    assert.deepStrictEqual(
      selectionIn(["run", "--config-file", "a.ts", "--profile=b", "--", "--config-file", "c.ts"]),
      {
        file: "a.ts",
        profile: "b"
      }
    )
    assert.deepStrictEqual(selectionIn(["list"]), { file: undefined, profile: undefined })
  })
})
