import { assert, describe } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { baton, list, live } from "./baton.ts"
import * as tmux from "./tmux.ts"

const unverified = ["--exec", "cat", "--no-verify"]

describe("the messages of a run", () => {
  live("say what failed in a row, and how many tasks wait for a retry", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\nb\nc\n")
      const fails = ["--shell", "exit 1", "--no-verify", "--max-consecutive-failures", "3", "-j", "1"]
      const run = ["run", "tasks.txt", ...fails, "--retry-delay", "1h"]
      const { code, stderr } = yield* baton(dir.path, run)
      assert.strictEqual(code, 3)
      const stopped = "Stopped: 3 failures in a row (last: The command exited with code 1). 0 of 3 tasks completed"
      assert.include(stderr, stopped)
      assert.include(stderr, "attempts  3, all failed; 3 tasks wait for a retry")
      assert.notMatch(stderr, /limits +none/)
    })
  )

  live("name the cause in the last line under --quiet when failures stop it", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", Array.from({ length: 12 }, (_, index) => `${index}\n`).join(""))
      const fails = ["--shell", "exit 1", "--no-verify", "--max-attempts", "1", "-j", "1", "--quiet"]
      for (const limit of [["--max-consecutive-failures", "2"], []]) {
        const { code, stderr, stdout } = yield* baton(dir.path, ["run", "tasks.txt", ...fails, ...limit])
        assert.deepStrictEqual([code, stdout], [3, ""])
        const lines = stderr.trimEnd().split("\n")
        assert.match(lines.pop() ?? "", /^✗ Stopped: \d+ failures in a row/)
        // Each failed task is an error, which --quiet prints too.
        for (const line of lines) assert.match(line, /^✗ \w+ \(\d+\) failed after 1 attempt: /)
      }
    })
  )

  live("say what a wrong setting or store takes", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\n")
      const maybe = yield* baton(dir.path, ["run", "tasks.txt", "--exec", "cat"], { BATON_NO_VERIFY: "maybe" })
      assert.include(maybe.stderr, 'BATON_NO_VERIFY is "maybe": it takes true or false.')
      assert.include((yield* baton(dir.path, ["status", "--store", "x.db"])).stderr, "Did you mean sqlite:x.db?")
      const userless = yield* baton(dir.path, ["status", "--store", "postgres://127.0.0.1:1/x"])
      assert.include(
        userless.stderr,
        "names no user for PostgreSQL at 127.0.0.1:1: write it as postgres://USER:PASSWORD@"
      )
    })
  )

  live("count the records of a source that are completed, and explain lines that are not JSON", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.md", "- [ ] Write it\n- [x] Think\n")
      const imported = yield* baton(dir.path, ["import", "tasks.md"])
      assert.strictEqual(imported.stdout, "tasks.md: 1 task added, 1 skipped: already completed\n")
      dir.write("plain.txt", "Write a poem\n")
      const piped = yield* baton(dir.path, ["import", "plain.txt", "--format", "jsonl"])
      assert.include(piped.stderr, "plain.txt:1: not valid JSON at column 1")
    })
  )

  live("take the number of -j with and without a space", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\n")
      for (const given of [["-j2"], ["-j", "2"], ["-j=2"]]) {
        const { code, stderr } = yield* baton(dir.path, ["run", "tasks.txt", ...unverified, ...given])
        assert.strictEqual(code, 0, stderr)
      }
    })
  )

  live("use none of a few words of jargon in the help of five commands", (dir) =>
    Effect.gen(function* () {
      const { stdout } = yield* baton(dir.path, ["--help"])
      const commands = [...stdout.matchAll(/^ {2}([a-z-]+) {2,}[A-Z]/gm)].map(([, name = ""]) => name)
      assert.isAbove(commands.length, 20)
      const helps = yield* Effect.forEach(["run", "plan", "show", "dlq", "verify"], (name) =>
        Effect.map(baton(dir.path, [name, "--help"]), ({ stdout }) => stdout)
      )
      for (const help of helps) {
        assert.match(help, /^[A-Z][^\n]+[.:]?\n/)
        assert.notMatch(help, /idempoten|semantics|leverag|utili[sz]e/i)
      }
    })
  )
})

describe.skipIf(!tmux.isInstalled)("the messages on a terminal (needs tmux)", () => {
  live("say when the next task is due", (dir) =>
    Effect.gen(function* () {
      const availableAt = "2999-01-01T00:00:00Z"
      dir.write("later.jsonl", `${JSON.stringify({ id: "a", description: "x", availableAt })}\n`)
      const terminal = yield* tmux.open(dir.path, 160, 24)
      yield* terminal.enter("baton run later.jsonl --exec cat --no-verify")
      yield* terminal.line(/next task due in \d+d/)
      yield* terminal.press("q")
      yield* terminal.line(/^! Stopped as requested/)
      yield* terminal.enter("clear; echo 'Write a poem' | baton run - --exec cat --no-verify --queue poem")
      yield* terminal.line(/Standard input is read as JSONL; use --format txt/)
    }).pipe(Effect.scoped)
  )
})

describe("the name of an output", () => {
  live("decides the format of the file, or is refused with the names that can be", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\n")
      yield* baton(dir.path, ["run", "tasks.txt", ...unverified])
      const exported = yield* baton(dir.path, ["export", "-o", "x.pdf"])
      assert.strictEqual(exported.code, 1)
      const takes = "(.pdf): it takes .jsonl, .ndjson, .json, .csv, .tsv, .parquet, .xlsx, .md, .markdown."
      assert.include(exported.stderr, takes)
      const reported = yield* baton(dir.path, ["report", "-o", "x.pdf"])
      assert.include(reported.stderr, "(.pdf): it takes .txt, .md, .markdown, .html, .htm.")
      assert.notInclude(dir.entries(), "x.pdf")
      const directory = yield* baton(dir.path, ["export", "-o", ".baton"])
      const named = ".baton cannot be written: it is a directory. Name a file in it, such as .baton/results.csv."
      assert.strictEqual(directory.stderr, `error: ${named}\n`)
      // A disk without space, where the system has one.
      if (!existsSync("/dev/full")) return
      const full = yield* baton(dir.path, ["export", "-o", "/dev/full"])
      assert.include(full.stderr, "/dev/full cannot be written: the disk is full. Free some space")
    })
  )

  live("is not affected by BATON_OUTPUT, which chooses the events of a run", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "a\n")
      const events = yield* baton(dir.path, ["run", "tasks.txt", ...unverified], { BATON_OUTPUT: "ndjson" })
      assert.match(events.stdout, /^\{"event":"RunStarted"/)
      const wrong = yield* baton(dir.path, ["run", ...unverified], { BATON_OUTPUT: "x.pdf" })
      assert.include(wrong.stderr, 'BATON_OUTPUT is "x.pdf": it takes human or ndjson.')
      const exported = yield* baton(dir.path, ["export", "--format", "json"], { BATON_OUTPUT: "ndjson" })
      assert.match(exported.stdout, /^\[/)
    })
  )
})

describe("a template", () => {
  live("whose name is in another case than its column says which columns exist, and which is meant", (dir) =>
    Effect.gen(function* () {
      dir.write("books.csv", "Id,Title\n1,Emma\n")
      const wrong = yield* baton(dir.path, ["run", "books.csv", "--template", "{{ID}} {{Title}}", ...unverified])
      assert.strictEqual(wrong.code, 1)
      const columns = "this column does not exist; the columns are Id, Title; did you mean {{Id}}?"
      assert.include(wrong.stderr, `books.csv:1: the template uses {{ID}}, but ${columns}`)
      const right = yield* baton(dir.path, ["run", "books.csv", "--template", "{{Id}} {{Title}}", ...unverified])
      assert.strictEqual(right.code, 0, right.stderr)
      assert.deepStrictEqual(
        (yield* list(dir.path)).map(({ id, result }) => [id, result]),
        [["1", "1 Emma"]]
      )
    })
  )
})

describe("BATON_DESCRIPTION", () => {
  live("is the task that a verifier decides about", (dir) =>
    Effect.gen(function* () {
      dir.write("tasks.txt", "two words\n")
      dir.write("check.sh", '[ "$(cat)" = "$BATON_DESCRIPTION" ]\n')
      const run = yield* baton(dir.path, ["run", "tasks.txt", "--exec", "cat", "--verify", "sh check.sh"])
      assert.strictEqual(run.code, 0, run.stderr)
      const { stdout } = yield* baton(dir.path, ["run", "--help"])
      assert.include(stdout.replaceAll(/\s+/g, " "), "BATON_DESCRIPTION in addition")
    })
  )
})
