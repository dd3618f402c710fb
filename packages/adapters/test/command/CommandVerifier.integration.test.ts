import { Command } from "@baton/adapters/command"
import type { VerificationError } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { join } from "node:path"
import { directory, isAlive, sh, untilPids, verify } from "./fixtures.ts"

describe("CommandVerifier", () => {
  it.live("passes on exit code 0, with the program's output as feedback", () =>
    Effect.gen(function* () {
      const verdict = yield* verify({ command: Command.make("grep", ["-o", "[0-9]*"]) }, "there are 42 words")
      assert.deepInclude(verdict, { passed: true, confidence: 1, feedback: "42" })
    })
  )

  it.live("rejects on another exit code, with standard output and then standard error as feedback", () =>
    Effect.gen(function* () {
      const verdict = yield* verify({ command: sh("echo too long >&2; wc -c; exit 1") }, "abc")
      assert.deepInclude(verdict, { passed: false, feedback: `${verdict.feedback.split("\n")[0]}\ntoo long` })
      assert.match(verdict.feedback, /^\s*3\n/)
    })
  )

  it.live("says so when the program rejects without a word", () =>
    Effect.gen(function* () {
      const verdict = yield* verify({ command: Command.make("grep", ["-q", "[0-9]"]) }, "none here")
      assert.deepInclude(verdict, { passed: false, feedback: "The verifier exited with code 1 and printed nothing." })
    })
  )

  it.live("keeps the beginning and the end of fifty megabytes", () =>
    Effect.gen(function* () {
      const verdict = yield* verify({
        command: sh("echo first; yes no | head -c 51000000; echo last; echo err >&2; exit 1")
      })
      assert.isFalse(verdict.passed)
      assert.match(verdict.feedback, /^first\nno\n[^]*\n\[\.\.\. 48\.6 MiB left out \.\.\.\]\n[^]*no\nlast\nerr$/)
      assert.isBelow(verdict.feedback.length, 8300)
    })
  )

  it.live("passes the description to the program", () =>
    Effect.gen(function* () {
      const command = sh('printf %s "$BATON_TASK_ID $BATON_ATTEMPT $BATON_METADATA $BATON_DESCRIPTION"')
      const verdict = yield* verify({ command }, "output", "write 😀\0!")
      assert.strictEqual(verdict.feedback, "task-1 1 {} write 😀!")
    })
  )

  it.live("passes a long description in a file", () =>
    Effect.gen(function* () {
      const command = sh('wc -c < "$BATON_DESCRIPTION_FILE"; echo "${BATON_DESCRIPTION-unset}"')
      const verdict = yield* verify({ command }, "output", "\0".repeat(5_000_000))
      assert.match(verdict.feedback, /^\s*5000000\nunset$/)
    })
  )

  const noVerdict = (options: Parameters<typeof verify>[0], reason: VerificationError["reason"], message: RegExp) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(verify(options))
      assert.strictEqual(error._tag === "VerificationError" && error.reason, reason)
      assert.match(error.message, message)
    })

  it.live("gives no verdict when killed", () =>
    noVerdict({ command: sh("echo hm; kill -9 $$") }, "Failed", /^The verifier was killed by SIGKILL: hm$/)
  )

  it.live("gives no verdict when a program inside was killed", () =>
    noVerdict({ command: sh("sh -c 'kill -9 $$'; exit $?") }, "Failed", /^The verifier exited with code 137/)
  )

  it.live("gives no verdict when a program inside was not found", () =>
    noVerdict(
      { command: sh("no-such-check") },
      "Failed",
      /^The verifier exited with code 127 \(not found\): .*no-such-check/
    )
  )

  it.live("stops the run when it is not found itself", () =>
    noVerdict({ command: Command.make("no-such-check") }, "Fatal", /^Not found: the program "no-such-check"/)
  )

  it.effect("gives no verdict when it takes too long", () =>
    Effect.gen(function* () {
      const file = join(yield* directory, "pids")
      const command = sh(`echo $$ > '${file}'; exec sleep 1000`)
      const fiber = yield* Effect.forkChild(
        noVerdict({ command, timeout: "1 hour" }, "TimedOut", /took longer than 1h/)
      )
      const [pid = 0] = yield* TestClock.withLive(untilPids(file, 1))
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      assert.isFalse(isAlive(pid))
    })
  )
})
