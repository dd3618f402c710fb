import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { Project } from "../../src/settings/Project.ts"
import { StoreUrl } from "../../src/settings/storeUrl.ts"
import { commandName } from "../../src/view/commandName.ts"

const nameFor = (url: string, environment: Record<string, string> = {}) =>
  commandName.pipe(
    Effect.provideService(StoreUrl, url),
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(environment)), { local: true })
  )

describe("commandName", () => {
  it.effect("omits the default store", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* nameFor("sqlite:.baton/baton.db"), "baton")
      assert.strictEqual(yield* nameFor("sqlite:x.db", { BATON_STORE: "sqlite:x.db" }), "baton")
    })
  )

  it.effect("repeats the flags that select a configuration, and omits the store that it configures", () =>
    Effect.gen(function* () {
      const project = {
        name: "x.ts",
        flags: ["--config-file", "x.ts"],
        settings: { store: "sqlite:x.db" },
        parts: {},
        hooks: []
      }
      const name = (url: string) => Effect.provideService(nameFor(url), Project, project)
      assert.strictEqual(yield* name("sqlite:x.db"), "baton --config-file x.ts")
      assert.strictEqual(
        yield* name("sqlite:.baton/baton.db"),
        "baton --config-file x.ts --store sqlite:.baton/baton.db"
      )
    })
  )

  it.effect("includes any other store, quoted for the shell", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* nameFor("sqlite:x.db"), "baton --store sqlite:x.db")
      assert.strictEqual(yield* nameFor("sqlite:x.db", { BATON_STORE: "sqlite:y.db" }), "baton --store sqlite:x.db")
      assert.strictEqual(yield* nameFor("sqlite:it's $HOME.db"), String.raw`baton --store 'sqlite:it'\''s $HOME.db'`)
    })
  )

  it.effect("never contains a password", () =>
    Effect.gen(function* () {
      for (const url of [
        "postgres://me:s3cret@db.example/work",
        "postgres://me:s3cret/with@slash@db.example/work",
        "redis://:s3cret@localhost",
        "postgres://db.example/work?user=me&password=s3cret&ssl=true"
      ]) {
        assert.notInclude(yield* nameFor(url), "s3cret")
      }
      assert.strictEqual(
        yield* nameFor("postgres://me:s3cret@db.example/work"),
        "baton --store 'postgres://me:…@db.example/work'"
      )
    })
  )
})
