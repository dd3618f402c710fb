import { assert, describe } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { baton, type Folder, list, live } from "./baton.ts"

const Found = Schema.Array(Schema.Struct({ id: Schema.String, feedback: Schema.String }))
const decode = Schema.decodeUnknownSync(
  Schema.fromJsonString(Schema.Struct({ passed: Schema.Int, rejected: Found, unverified: Found }))
)

/** Three completed tasks, whose executor notes that it ran. */
const threeDone = (dir: Folder) =>
  Effect.gen(function* () {
    dir.write("books.csv", "id,title\na,Emma\nb,Dracula\nc,Ulysses\n")
    const exec = ["--shell", "echo ran >> runs; cat", "--no-verify"]
    const { code, stderr } = yield* baton(dir.path, ["run", "books.csv", "--template", "{{title}}", ...exec])
    assert.strictEqual(code, 0, stderr)
  })

const check = `sh -c 'grep -q u || { echo "no u in $BATON_DESCRIPTION"; exit 1; }'`

describe("baton verify", () => {
  live("reports the stored outputs that do not pass, without executing or changing their tasks", (dir) =>
    Effect.gen(function* () {
      yield* threeDone(dir)
      const { code, stderr, stdout } = yield* baton(dir.path, ["verify", "--verify", check])
      assert.strictEqual(code, 2, stderr)
      assert.match(stdout, /^ID +FEEDBACK\na +no u in Emma\nc +no u in Ulysses\n1 of 3 outputs pass \(/)
      assert.strictEqual(dir.lines("runs").length, 3)
      assert.deepStrictEqual([...new Set((yield* list(dir.path)).map(({ status }) => status))], ["completed"])
    })
  )

  live("executes the tasks again whose outputs do not pass, with the verifier's feedback", (dir) =>
    Effect.gen(function* () {
      yield* threeDone(dir)
      const { code, stdout } = yield* baton(dir.path, ["verify", "--verify", check, "--requeue"])
      assert.strictEqual(code, 2)
      assert.match(stdout, /1 of 3 outputs pass \(.*\)\.\n2 tasks requeued\. Run `baton run` to execute them again\./)
      const stored = yield* list(dir.path)
      assert.deepStrictEqual(
        stored.map(({ attempts, feedback, result, status }) => [status, attempts, feedback, result]),
        [
          ["pending", 0, "no u in Emma", undefined],
          ["completed", 1, undefined, "Dracula"],
          ["pending", 0, "no u in Ulysses", undefined]
        ]
      )
      const improve = ["--shell", 'echo "$BATON_PREVIOUS_OUTPUT u: $BATON_FEEDBACK"', "--verify", check]
      assert.strictEqual((yield* baton(dir.path, ["run", ...improve])).code, 0)
      assert.deepStrictEqual(
        (yield* list(dir.path)).map(({ result }) => result),
        ["Emma u: no u in Emma", "Dracula", "Ulysses u: no u in Ulysses"]
      )
    })
  )

  live("prints the verdicts as JSON", (dir) =>
    Effect.gen(function* () {
      yield* threeDone(dir)
      const strict = `sh -c 'grep -q Emma && exit 127; exit 1'`
      const { code, stdout } = yield* baton(dir.path, ["verify", "--verify", strict, "--json"])
      assert.strictEqual(code, 2)
      const { passed, rejected, unverified } = decode(stdout)
      assert.strictEqual(passed, 0)
      assert.sameMembers(
        rejected.map(({ id }) => id),
        ["b", "c"]
      )
      assert.deepStrictEqual(
        unverified.map(({ id }) => id),
        ["a"]
      )
    })
  )

  live("succeeds if all outputs pass, also in several queues", (dir) =>
    Effect.gen(function* () {
      yield* threeDone(dir)
      dir.write("more.txt", "x\n")
      yield* baton(dir.path, ["run", "more.txt", "--exec", "cat", "--no-verify"])
      const { code, stdout } = yield* baton(dir.path, ["verify", "--verify", "grep -q ."])
      assert.strictEqual(code, 0)
      assert.match(stdout, /^4 of 4 outputs pass \(/)
    })
  )

  live("verifies the last outputs of failed tasks", (dir) =>
    Effect.gen(function* () {
      dir.write("list.txt", "one\ntwo\n")
      const run = ["run", "list.txt", "--exec", "cat", "--verify", "grep -q one", "--max-attempts", "1"]
      assert.strictEqual((yield* baton(dir.path, run)).code, 2)
      const { code, stdout } = yield* baton(dir.path, ["verify", "--status", "failed", "--verify", "grep -q two"])
      assert.strictEqual(code, 0)
      assert.match(stdout, /^1 of 1 output pass/)
    })
  )

  live("asks for a verifier", (dir) =>
    Effect.gen(function* () {
      yield* threeDone(dir)
      const { code, stderr } = yield* baton(dir.path, ["verify"])
      assert.strictEqual(code, 1)
      assert.include(stderr, "No verifier is set. Add a command, as in --verify './check.sh', or --verifier claude.")
    })
  )

  live("stops at a verifier that does not exist", (dir) =>
    Effect.gen(function* () {
      yield* threeDone(dir)
      const { code, stderr } = yield* baton(dir.path, ["verify", "--verify", "./nothere"])
      assert.strictEqual(code, 1)
      assert.include(stderr, "./nothere")
    })
  )
})
