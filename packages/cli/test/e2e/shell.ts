/** Shell scripts that run `baton` many times: their command lines run in the test's process, as those of other tests do. */
import { Effect, Queue, type Scope } from "effect"
import { spawn } from "node:child_process"
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { delimiter, join } from "node:path"
import { baton, collect, folder, type ProcessResult, program } from "./baton.ts"

/**
 * The command line is in files, and the connection carries the name of their folder and the exit code. What is piped into
 * `baton` and configurations, which import from its package, need the built program.
 */
const client = (calls: string, port: number) => `#!/usr/bin/env bash
if [ -p /dev/stdin ] || [ -e baton.config.ts ]; then exec '${process.execPath}' '${program}' "$@"; fi
call=$(mktemp -d '${calls}/call-XXXXXX')
printf '%s\\0' "$PWD" "$@" > "$call/args"
env -0 > "$call/env"
exec 3<> /dev/tcp/127.0.0.1/${port}
echo "$call" >&3
read -r code <&3
cat "$call/stdout"
cat "$call/stderr" >&2
exit "$code"
`

const listen = Effect.gen(function* () {
  const sockets = yield* Queue.unbounded<Socket>()
  const server = yield* Effect.acquireRelease(
    Effect.sync(() => createServer((socket) => Queue.offerUnsafe(sockets, socket))),
    (server) => Effect.sync(() => server.close())
  )
  const port = yield* Effect.callback<number>((resume) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
    })
  })
  return { port, sockets }
})

const words = (file: string) => readFileSync(file, "utf8").split("\0").slice(0, -1)

const answer = Effect.fnUntraced(function* (socket: Socket) {
  const call = yield* Effect.callback<string>((resume) => {
    socket.setEncoding("utf8").once("data", (text: string) => resume(Effect.succeed(text.trim())))
  })
  const [cwd = "", ...args] = words(join(call, "args"))
  const env = Object.fromEntries(words(join(call, "env")).map((entry) => entry.split(/=(.*)/s, 2)))
  const { code, stderr, stdout } = yield* baton(cwd, args, env)
  writeFileSync(join(call, "stdout"), stdout)
  writeFileSync(join(call, "stderr"), stderr)
  socket.end(`${code}\n`)
})

/** Runs scripts, one at a time, in a shell that stops at the first error. */
export const make: Effect.Effect<
  (cwd: string, code: string, env: Readonly<Record<string, string | undefined>>) => Effect.Effect<ProcessResult>,
  never,
  Scope.Scope
> = Effect.gen(function* () {
  const { path } = yield* folder
  const { port, sockets } = yield* listen
  const bin = join(path, "bin")
  mkdirSync(bin)
  writeFileSync(join(bin, "baton"), client(path, port))
  chmodSync(join(bin, "baton"), 0o755)
  yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(sockets), answer)))
  return (cwd, code, env) =>
    Effect.callback<ProcessResult>((resume) => {
      const child = spawn("bash", ["-euo", "pipefail", "-c", code], {
        cwd,
        env: { ...env, PATH: [bin, env["PATH"]].join(delimiter) }
      })
      child.stdin.end()
      void collect(child, () => {}).then((result) => resume(Effect.succeed(result)))
      return Effect.sync(() => child.kill("SIGKILL"))
    })
})
