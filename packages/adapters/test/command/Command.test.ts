import { Command } from "@baton/adapters/command"
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { CommandLine } from "effect/process"
import { spawnSync } from "node:child_process"
import { tmpdir } from "node:os"

const words = (text: string) => {
  const command = Result.getOrThrow(Command.parse(text))
  return command._tag === "Program" ? [command.program, ...command.args] : assert.fail("a shell command")
}

const message = (text: string) => Result.getOrThrow(Result.flip(Command.parse(text))).message

describe("Command.parse", () => {
  it("splits as a shell does", () => {
    assert.deepStrictEqual(words("claude -p"), ["claude", "-p"])
    assert.deepStrictEqual(words("  a\t'b  c' \"d \\\" e\" f\\ g ''  \n h"), ["a", "b  c", 'd " e', "f g", "", "h"])
    assert.deepStrictEqual(words(`'it'\\''s'`), ["it's"])
  })

  it("leaves glob characters unchanged", () => {
    assert.deepStrictEqual(words("grep -q [0-9]"), ["grep", "-q", "[0-9]"])
    assert.deepStrictEqual(words(`find . -name *.ts 'a?' "b*" \\*`), ["find", ".", "-name", "*.ts", "a?", "b*", "*"])
  })

  it("says what needs a shell, and how to get one", () => {
    assert.strictEqual(
      message("a | b"),
      'The operator "|" needs a shell: quote it to pass it on as plain text, or have a shell run the command (--shell).'
    )
    for (const text of ["a > b", "a && b", "a; b", "(a)", "a $HOME", 'a "$HOME"', "a `b`", "~/a", "A=1 b", "a # b"]) {
      assert.match(message(text), / shell: .*--shell/)
    }
    assert.match(message("grep [0-9] | b"), /^The operator "\|" needs a shell:/)
  })

  it("refuses an incomplete command", () => {
    assert.strictEqual(message("a 'b"), "The quote is not closed: complete the command.")
    assert.strictEqual(message("a [ 'b"), "The quote is not closed: complete the command.")
    assert.strictEqual(message("a \\"), "A trailing backslash escapes nothing: complete the command.")
    for (const text of ["", "  \n", "''", "'' a"]) assert.match(message(text), /^The command is empty/)
  })

  it("does not repeat the command, which may hold a secret", () => {
    assert.notInclude(message("login --password hunter2 | b"), "hunter2")
  })

  it.prop(
    "reads back any arguments that were quoted for a shell",
    [Schema.Array(Schema.String)],
    ([args]) => {
      const all = ["program", ...args.map((arg) => arg.replaceAll("\0", ""))]
      assert.deepStrictEqual(words(Result.getOrThrow(CommandLine.join(all))), all)
    },
    { arbitrary: { runs: 500 } }
  )

  const character = Schema.Literals(["a", "é", " ", "\t", "'", '"', "\\", "*", "?", "[", "]", "-", "=", "}", "%"])
  it.prop(
    "gives the words that sh gives, or refuses",
    [Schema.Array(character).check(Schema.isMaxLength(14))],
    ([characters]) => {
      const text = characters.join("")
      const shell = spawnSync("sh", ["-c", `set -f; printf '%s\\0' x ${text}`], { cwd: tmpdir() })
      const parsed = Command.parse(`x ${text}`)
      if (Result.isSuccess(parsed)) {
        assert.strictEqual(
          shell.stdout.toString(),
          words(`x ${text}`)
            .map((word) => `${word}\0`)
            .join("")
        )
      } else if (parsed.failure.detail === "The quote is not closed") {
        assert.notStrictEqual(shell.status, 0)
      } else {
        assert.match(parsed.failure.detail, /^A (trailing backslash|leading "=")/)
      }
    },
    // Each run starts a shell.
    { arbitrary: { runs: 120 } }
  )
})
