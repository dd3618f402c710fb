import { assert, describe, it } from "@effect/vitest"
import { Effect, Stdio, ConfigProvider } from "effect"
import { commandLine, commandName, withoutPassword } from "../../src/view/commandLine.ts"
import { Project } from "../../src/settings/Project.ts"
import { StoreUrl } from "../../src/settings/flags.ts"

const typed = (...args: ReadonlyArray<string>) =>
  Effect.runSync(Effect.provide(commandLine, Stdio.layerTest({ args: Effect.succeed(args) })))

describe("commandLine", () => {
  it("can be typed again unchanged", () => {
    assert.strictEqual(
      typed("run", "my tasks.txt", "--exec", "echo it's $HOME", "-j", "8", "--max-tokens", "100"),
      String.raw`baton run 'my tasks.txt' --exec 'echo it'\''s $HOME' -j 8 --max-tokens 100`
    )
  })

  it("contains no password, secret or webhook URL", () => {
    assert.strictEqual(
      typed("run", "--store", "postgres://me:hunter2@db/x", "--webhook", "https://hooks.example/T0/s3cret", "--json"),
      "baton run --store 'postgres://me:…@db/x' --webhook … --json"
    )
    assert.strictEqual(
      typed("run", "--notify", "https://hooks.slack.com/T0/s3cret", "--notify-format", "slack"),
      "baton run --notify … --notify-format slack"
    )
    assert.strictEqual(
      typed("run", "--webhook=https://hooks.example/T0/s3cret", "--api-key=sk-1", "--api-key", "sk-2"),
      "baton run --webhook=… --api-key=… --api-key …"
    )
  })
})

describe("withoutPassword", () => {
  it.each([
    ["postgres://me:hunter2@db/x", "postgres://me:…@db/x"],
    [" Postgres://me:hunt@er/2@db/x", " Postgres://me:…@db/x"],
    ["mysql://me:hunter2@db/x", "mysql://me:…@db/x"],
    ["sqlite:postgres://me:hunter2@db/x", "sqlite:postgres://me:…@db/x"],
    ["postgres:me:hunter2@db/x", "postgres:…@db/x"],
    ["postgres:/me:hunter2@db/x", "postgres:…@db/x"],
    ["postgres//me:hunter2@db/x", "postgres//me:…@db/x"],
    ["me:hunter2@db/x", "me:…@db/x"],
    ["redis:://:hunter2@db", "redis:://:…@db"],
    ["postgres://db/x?sslpassword=hunter2&a=b", "postgres://db/x?sslpassword=…&a=b"],
    ["host=db password=hunter2 user=me", "host=db password=… user=me"]
  ])("masks the password in %s", (url, shown) => {
    assert.strictEqual(withoutPassword(url), shown)
  })

  it.each(["postgres://me@db/x", "redis://db:6379/1", "sqlite:/home/me@work/a:b.db", "memory:", "npm@11", "a@b:c"])(
    "keeps %s",
    (url) => {
      assert.strictEqual(withoutPassword(url), url)
    }
  )
})

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
        hooks: [],
        workflows: null
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
