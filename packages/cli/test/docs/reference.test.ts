import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { command, file, reference } from "./reference.ts"

describe("docs/cli.md", () => {
  it.effect("matches the help of the commands", () =>
    Effect.gen(function* () {
      const written = readFileSync(file, "utf8")
      assert.isTrue(written === (yield* reference), `docs/cli.md is out of date: run \`${command}\` and commit it`)
    })
  )
})
