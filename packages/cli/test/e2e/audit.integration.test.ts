import { Audit, Task } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { AuditReport } from "../../src/view/audit.ts"
import { baton, folder, start } from "./baton.ts"

const words = 24
const decodeReport = Schema.decodeUnknownSync(Schema.fromJsonString(AuditReport))

describe("an audit of a run", () => {
  it.live(
    "has the share of --audit, delays nothing, and ends the run when people reject too many accepted outputs",
    () =>
      Effect.gen(function* () {
        const dir = yield* folder
        const rows = Array.from({ length: words }, (_, index) => `${index + 1},word ${index + 1}`)
        dir.write("words.csv", ["id,prompt", ...rows, "last,wait", ""].join("\n"))
        const run = yield* start(dir.path, [
          ...["run", "words.csv", "--shell", 'read -r text; case "$text" in wait) sleep 100;; *) echo "$text";; esac'],
          ...["--verify", "true", "--audit", "50%", "--max-false-accept", "10%"],
          ...["--concurrency", "2", "--drain-timeout", "0s", "--output", "ndjson"]
        ])
        for (let word = 0; word < words; word++) yield* run.event("TaskCompleted")

        const sampled = Array.from({ length: words }, (_, index) => String(index + 1)).filter((id) =>
          Audit.isSampled(Task.idInQueue("words", id), 0.5)
        )
        const audit = Effect.map(baton(dir.path, ["audit", "--sample", "50%", "--json"]), ({ stdout }) =>
          decodeReport(stdout)
        )
        assert.deepInclude((yield* audit).all, { sampled: sampled.length, audited: 0 })

        const wrong = sampled.slice(0, 5)
        const found = yield* baton(dir.path, ["audit", "disagree", ...wrong, "--by", "ann", "--comment", "Not a word."])
        assert.strictEqual(found.code, 0, found.stderr)
        const { code, stderr } = yield* run.ended
        assert.strictEqual(code, 3, stderr)
        assert.match(
          stderr,
          /People rejected 5 of 5 outputs of the queue words that .* had accepted.*: the rate of false accepts is between 56\.\d% and 100% \(95 %\), above the limit of 10%\./
        )
        const { all } = yield* audit
        assert.deepInclude(all, { sampled: sampled.length, audited: 5, wrong: 5 })
      })
  )
})
