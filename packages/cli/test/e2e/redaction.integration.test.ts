import { LLMock } from "@copilotkit/aimock"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { baton, folder } from "./baton.ts"

const shaped = `sk-ant-api03-${"Ab1".repeat(20)}`
/** Has no recognizable shape; it is redacted by its value. */
const plain = "correct.horse.battery"
const password = "hunter2hunter2"
/** Recognized by the names of their variables. */
const signing = "whsec-of-mine-17"
const secrets = [shaped, plain, password, signing]

const env = {
  ANTHROPIC_API_KEY: plain,
  KEY: shaped,
  BATON_WEBHOOK_SECRET: signing,
  LOG_20261129: "a date, not an array"
}

/** Prints all secrets on standard error and fails. */
const leaking = [
  'echo "401 for key $KEY" >&2',
  'echo "retrying as $ANTHROPIC_API_KEY, signed with $BATON_WEBHOOK_SECRET" >&2',
  `echo "no route to https://app:${password}@db.example/x?api_key=$KEY" >&2`
].join("; ")

/** The contents of all files in the folder of a run. */
const written = (path: string): string =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"))
    .join("\n")

const found = (text: string) => secrets.filter((secret) => text.includes(secret))

describe("a secret that a program prints", () => {
  it.live("appears in no store, event, log, export or output, and not in the feedback for the next attempt", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const args = [
        "run",
        ...["--shell", `printf %s "$BATON_FEEDBACK" > feedback-$BATON_ATTEMPT; ${leaking}; exit 1`],
        ...["--max-attempts", "2", "--retry-delay", "0s", "--output", "ndjson", "--log-level", "trace"]
      ]
      yield* baton(dir.path, ["add", "leak", "--id", "a"], env)
      const run = yield* baton(dir.path, args, env)
      assert.strictEqual(run.code, 2, run.stderr)
      const show = yield* baton(dir.path, ["show", "a", "--json"], env)
      const dlq = yield* baton(dir.path, ["dlq", "list"], env)
      const exported = yield* baton(dir.path, ["export", "--format", "json"], env)
      // The message is kept, without the secrets.
      assert.include(show.stdout, "401 for key [redacted]")
      assert.include(dir.read("feedback-2"), "401 for key [redacted]")
      const everything = [run, show, dlq, exported].map(({ stderr, stdout }) => stdout + stderr).join("\n")
      assert.deepStrictEqual(found(everything), [])
      assert.deepStrictEqual(found(written(dir.path)), [])
    })
  )

  it.live(
    "is also removed from a verifier's feedback and from standard error of a successful program; the output is unchanged",
    () =>
      Effect.gen(function* () {
        const dir = yield* folder
        yield* baton(dir.path, ["add", "leak", "--id", "a"], env)
        dir.write("check.sh", `#!/bin/sh\n[ "$BATON_ATTEMPT" -eq 2 ] || { echo "wrong: $KEY"; exit 1; }\n`)
        const run = yield* baton(
          dir.path,
          [
            "run",
            ...["--shell", `${leaking}; echo "the output says ${"$"}KEY"`, "--verify", "sh check.sh"],
            ...["--retry-delay", "0s", "--output", "ndjson"]
          ],
          env
        )
        assert.strictEqual(run.code, 0, run.stderr)
        const show = yield* baton(dir.path, ["show", "a", "--json"], env)
        assert.include(show.stdout, "wrong: [redacted]")
        assert.include(show.stdout, `the output says ${shaped}`)
        const withoutOutput = (show.stdout + run.stdout + run.stderr).replaceAll(`the output says ${shaped}`, "")
        assert.deepStrictEqual(found(withoutOutput), [])
      })
  )

  it.live("is also removed from an API's error", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const mock = new LLMock({ port: 0, logLevel: "silent" })
      const url = yield* Effect.acquireRelease(
        Effect.promise(() => mock.start()),
        () => Effect.promise(() => mock.stop())
      )
      const message = `no: ${plain}, ${shaped}, https://app:${password}@proxy.example/`
      mock.on({ userMessage: "leak" }, { error: { message, type: "invalid_request_error" }, status: 400 })
      yield* baton(dir.path, ["add", "leak", "--id", "a"], env)
      const args = ["run", "--executor", "claude", "--no-verify", "--output", "ndjson", "--log-level", "trace"]
      const run = yield* baton(dir.path, args, { ...env, ANTHROPIC_BASE_URL: url })
      assert.strictEqual(run.code, 2, run.stderr)
      const show = yield* baton(dir.path, ["show", "a", "--json"], env)
      assert.include(show.stdout, "[redacted]")
      assert.deepStrictEqual(found([run, show].map(({ stderr, stdout }) => stdout + stderr).join("\n")), [])
      assert.deepStrictEqual(found(written(dir.path)), [])
    })
  )

  it.live("is kept with --no-redact", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      yield* baton(dir.path, ["add", "leak", "--id", "a"], env)
      yield* baton(dir.path, ["run", "--shell", `${leaking}; exit 1`, "--max-attempts", "1", "--no-redact"], env)
      assert.deepStrictEqual(found(written(dir.path)), secrets)
    })
  )
})
