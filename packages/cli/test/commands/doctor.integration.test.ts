import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { baton, folder } from "../e2e/baton.ts"

const Findings = Schema.fromJsonString(
  Schema.Array(
    Schema.Struct({
      section: Schema.String,
      check: Schema.String,
      status: Schema.Literals(["ok", "warn", "fail"]),
      message: Schema.String,
      fix: Schema.optionalKey(Schema.String)
    })
  )
)
const decode = Schema.decodeUnknownSync(Findings)

const examine = (dir: string, args: ReadonlyArray<string>, env: Record<string, string> = {}) =>
  Effect.map(baton(dir, ["doctor", "--json", ...args], env), ({ code, stderr, stdout }) => {
    const found = decode(stdout)
    const of = (section: string) => found.filter((finding) => finding.section === section)
    return { code, stderr, stdout, found, of }
  })

describe("baton doctor", () => {
  it.live("finds no problems if everything is set up, and writes nothing", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const { code, found, stdout } = yield* examine(dir.path, ["--exec", "cat -", "--verify", "grep -q x"])
      assert.strictEqual(code, 0, stdout)
      assert.deepStrictEqual(
        found.filter(({ status }) => status === "fail"),
        []
      )
      assert.include(found.map(({ message }) => message).join(), "cat is /")
      assert.deepStrictEqual(dir.entries(), [])
    })
  )

  it.live.each([
    { store: "Postgres://me:hunter2@h/db", meant: "postgres://me:…@h/db" },
    { store: " postgres://me:hunter2@h/db", meant: "postgres://me:…@h/db" },
    { store: "sqlite:postgres://me:hunter2@h/db", meant: "postgres://me:…@h/db" },
    { store: "json:redis://:hunter2@h", meant: "redis://:…@h" },
    { store: "mysql://me:hunter2@h/db", meant: undefined },
    { store: "me:hunter2@h/db", meant: undefined }
  ])("refuses the store $store like every command, and prints no password", ({ meant, store }) =>
    Effect.gen(function* () {
      const dir = yield* folder
      for (const command of [["status"], ["doctor"], ["doctor", "--config"], ["add", "x"], ["report"]]) {
        const { code, stderr, stdout } = yield* baton(dir.path, command, { BATON_STORE: store })
        const text = (stderr + stdout).replaceAll(/\s+/g, " ")
        assert.notInclude(text, "hunter2")
        if (command.includes("--config")) continue
        assert.strictEqual(code, 1, text)
        if (meant !== undefined) assert.include(text, `Did you mean ${meant}?`)
      }
      assert.deepStrictEqual(dir.entries(), [])
    })
  )

  it.live("lists each problem with a solution and exits with 1", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("check.sh", "#!/bin/sh\n")
      const { code, of } = yield* examine(dir.path, ["--exec", "no-such-program -p", "--verify", "./check.sh"])
      assert.strictEqual(code, 1)
      assert.deepInclude(of("Executor")[0], { check: "--exec", status: "fail" })
      assert.include(of("Executor")[0]?.message, "The program no-such-program was not found on the PATH")
      assert.include(of("Verifier")[0]?.fix, "chmod +x ./check.sh")
      const text = yield* baton(dir.path, ["doctor", "--exec", "no-such-program"])
      assert.include(text.stdout, "✗ 1 problem, 1 warning")
      assert.include(text.stdout, "→ Install it, or use its full path.")
    })
  )

  it.live("reports a damaged store and a store that is not persistent", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("broken.db", "this is not a database, despite its name. ".repeat(100))
      const broken = yield* examine(dir.path, ["--store", "sqlite:broken.db", "--exec", "cat"])
      assert.isTrue(broken.of("Store").some(({ status }) => status === "fail"))
      const memory = yield* examine(dir.path, ["--store", "memory:", "--exec", "cat"])
      assert.deepStrictEqual(
        memory.of("Store").map(({ status }) => status),
        ["warn"]
      )
      const unknown = yield* examine(dir.path, ["--store", "mysql://x", "--exec", "cat"])
      assert.include(unknown.of("Store")[0]?.message, '--store is "mysql://x": it takes')
    })
  )

  it.live("reports a missing key and never prints an existing one", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const without = yield* examine(dir.path, ["--executor", "claude", "--no-verify"], { ANTHROPIC_API_KEY: "" })
      assert.deepInclude(without.of("Executor")[0], { check: "key", status: "fail" })
      const key = "sk-ant-api03-secret-secret-secret"
      const away = yield* examine(dir.path, ["--executor", "claude", "--no-verify"], {
        ANTHROPIC_API_KEY: key,
        ANTHROPIC_BASE_URL: "http://me:password@127.0.0.1:1"
      })
      assert.deepStrictEqual(
        away.of("Executor").map(({ check, status }) => [check, status]),
        [
          ["key", "ok"],
          ["model", "warn"]
        ]
      )
      assert.notInclude(away.stdout + away.stderr, key)
      assert.notInclude(away.stdout + away.stderr, "password")
    })
  )

  it.live("builds the layers of a configuration to check them", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const core = new URL("../../../core/src/index.ts", import.meta.url).href
      dir.write(
        "baton.config.ts",
        `import { Executor, Verifier } from ${JSON.stringify(core)}
         export default { executor: Executor.layerFake(), verifier: Executor.layerFake() }`
      )
      const { code, of } = yield* examine(dir.path, [])
      assert.strictEqual(code, 1)
      assert.deepInclude(of("Executor")[0], {
        status: "ok",
        message: "The layer `executor` in baton.config.ts builds."
      })
      assert.include(of("Verifier")[0]?.message, "does not provide @baton/core/Verifier")
    })
  )

  it.live("--config lists the settings in effect and their sources", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write(
        "baton.config.ts",
        `export default { concurrency: 3, maxAttempts: 7, profiles: { big: { concurrency: 64 } } }`
      )
      const env = {
        BATON_MAX_ATTEMPTS: "9",
        BATON_STORE: "postgres://me:secret@db/work",
        BATON_NOTIFY: "https://hooks.slack.example/services/T0/secret"
      }
      const { code, stdout } = yield* baton(dir.path, ["doctor", "--config", "--profile", "big"], env)
      assert.strictEqual(code, 0)
      assert.match(stdout, /^concurrency +64 +baton\.config\.ts \(profile big\)$/m)
      assert.match(stdout, /^maxAttempts +9 +BATON_MAX_ATTEMPTS$/m)
      assert.match(stdout, /^timeout +10m +default$/m)
      assert.include(stdout, "https://hooks.slack.example/…")
      assert.notInclude(stdout, "secret")
      const wrong = yield* baton(dir.path, ["doctor", "--config"], { BATON_CONCURRENCY: "many" })
      assert.strictEqual(wrong.code, 1)
      assert.match(wrong.stdout, /BATON_CONCURRENCY: takes a whole number of at least 1/)
    })
  )
})
