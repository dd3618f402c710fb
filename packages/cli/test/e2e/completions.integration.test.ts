import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { baton, folder } from "./baton.ts"

/** What bash completes at the end of these words. */
const completed = (path: string, ...words: ReadonlyArray<string>) => {
  const script = `
    source completions.bash
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*"
    COMP_POINT=\${#COMP_LINE}
    name=$(complete -p baton | sed 's/.*-F \\([^ ]*\\).*/\\1/')
    "$name" baton "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD - 1]}"
    printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout } = spawnSync("bash", ["-c", script, "bash", "baton", ...words], { cwd: path, encoding: "utf8" })
  return stdout.split("\n").filter((line) => line !== "")
}

describe("completions", () => {
  it.live("complete the values of flags, and the paths of files", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const { stdout } = yield* baton(dir.path, ["--completions", "bash"])
      dir.write("completions.bash", stdout)
      dir.write("prices.json", "{}")
      assert.deepStrictEqual(completed(dir.path, "run", "--executor", ""), [
        "fake",
        "claude",
        "claude-code",
        "openai",
        "config"
      ])
      assert.deepStrictEqual(completed(dir.path, "list", "--status", "comp"), ["completed"])
      assert.deepStrictEqual(completed(dir.path, "run", "--prices", "pri"), ["prices.json"])
      assert.deepStrictEqual(completed(dir.path, "run", "pri"), ["prices.json"])
    })
  )
})
