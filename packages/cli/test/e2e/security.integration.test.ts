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
