import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { connect, createServer } from "node:net"
import { networkInterfaces } from "node:os"
import { baton, folder, list, start } from "./baton.ts"

/** Commands, quotes and terminal control sequences. */
const hostile = `x'"; touch pwned; $(touch pwned) \`touch pwned\` | touch pwned & ../../etc && --exec sh\u001B[2J\u001B]0;owned\u0007`

const task = JSON.stringify({ id: hostile, description: hostile, metadata: { [hostile]: hostile } })

describe("a task's text", () => {
  it.live.each([
    { reader: "a program", flags: ["--exec", "cat", "--verify", "grep -q touch"] },
    { reader: "a shell", flags: ["--shell", "cat | cat", "--verify", "grep -q touch"] },
    { reader: "hooks", flags: ["--exec", "cat", "--no-verify", "--on-complete", "cat", "--on-end", "cat"] }
  ])("is read by $reader, never executed, and printed without control sequences", ({ flags }) =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.jsonl", task)
      const run = yield* baton(dir.path, ["run", "tasks.jsonl", ...flags])
      assert.strictEqual(run.code, 0, run.stderr)
      assert.deepInclude((yield* list(dir.path))[0], { id: hostile, description: hostile, result: hostile })
      assert.deepStrictEqual(dir.entries().sort(), [".baton", "tasks.jsonl"])
      const shown = yield* baton(dir.path, ["show", hostile])
      const listed = yield* baton(dir.path, ["list"])
      // eslint-disable-next-line no-control-regex
      assert.notMatch([run, shown, listed].map(({ stderr, stdout }) => stderr + stdout).join(""), /[\u001B\u0007]/)
    })
  )
})

/** The name of a window, a key that is pressed for the user, and a line that reads backwards. */
const evil = "\u001B]0;owned\u0007\u009B5n\u202E"
const escaped = JSON.stringify(evil).slice(1, -1)

const hostileSources: ReadonlyArray<{ readonly part: string; readonly file: string; readonly text: string }> = [
  { part: "a field", file: "a.jsonl", text: JSON.stringify({ [evil]: 1 }) },
  {
    part: "an id",
    file: "a.jsonl",
    text: ["x", "y"].map((it) => JSON.stringify({ id: evil, description: it })).join("\n")
  },
  { part: "a dependency", file: "a.jsonl", text: JSON.stringify({ id: "a", description: "x", dependsOn: [evil] }) },
  { part: "text that is not JSON", file: "a.jsonl", text: `{"description": "x"} ${evil}` },
  { part: "a column", file: "a.csv", text: `${evil},b\n1,2\n` },
  { part: "a repeated column", file: "a.csv", text: `description,${evil},${evil}\nx,1,2\n` },
  { part: "a YAML document", file: "a.yaml", text: `- {description: x, "${escaped}": !!binary abc}\n- *${evil}\n` },
  { part: "a priority", file: "a.jsonl", text: JSON.stringify({ description: "x", availableAt: evil }) }
]

describe("a source with terminal sequences", () => {
  it.live.each(hostileSources)("cannot control the terminal with $part", ({ file, text }) =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write(file, text)
      for (const command of [["import"], ["run", "--executor", "fake"], ["plan", "--executor", "fake"]]) {
        const { code, stderr, stdout } = yield* baton(dir.path, [...command, file])
        assert.strictEqual(code, 1)
        // eslint-disable-next-line no-control-regex
        assert.notMatch(stderr + stdout, /[\x00-\x08\x0B-\x1F\x7F-\x9F\u202A-\u202E]/)
      }
    })
  )

  it.live("cannot control the terminal with its name, or forge a line with a line break in an id", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const id = "a\nerror: the disk is full"
      dir.write(`${evil}.jsonl`, ["x", "y"].map((it) => JSON.stringify({ id, description: it })).join("\n"))
      const { stderr } = yield* baton(dir.path, ["import", `${evil}.jsonl`])
      // eslint-disable-next-line no-control-regex
      assert.notMatch(stderr, /[\x00-\x08\x0B-\x1F\x7F-\x9F\u202A-\u202E]/)
      assert.strictEqual(stderr.trimEnd().split("\n").length, 1, stderr)
    })
  )
})

const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    server.close(() => resume(Effect.succeed(port)))
  })
})

const answers = (host: string, port: number) =>
  Effect.callback<boolean>((resume) => {
    const socket = connect({ host, port })
    const end = (answer: boolean) => () => {
      socket.destroy()
      resume(Effect.succeed(answer))
    }
    socket.on("connect", end(true)).on("error", end(false))
  })

const outside = Object.values(networkInterfaces())
  .flatMap((addresses = []) => addresses)
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address

describe("--metrics-port", () => {
  it.live.skipIf(outside === undefined)("listens on the loopback address only", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const dir = yield* folder
        const port = yield* freePort
        const worker = yield* start(dir.path, [
          ...["worker", "--executor", "fake", "--no-verify", "--output", "ndjson", "--metrics-port", String(port)]
        ])
        yield* worker.event("RunStarted")
        assert.isTrue(yield* answers("127.0.0.1", port))
        assert.isFalse(yield* answers(outside ?? "", port))
        yield* worker.kill("SIGTERM")
        yield* worker.ended
      })
    )
  )
})
