// Starts a program that would run for long, and exits as soon as that has written its process id into a file, or kills itself.
import { Effect } from "effect"
import { execute, sh, untilPids } from "../fixtures.ts"

const file = process.argv[2] ?? ""
const isKilled = process.argv[3] === "kill"

await Effect.runPromise(
  Effect.gen(function* () {
    yield* Effect.forkChild(execute({ command: sh(`trap '' TERM; echo $$ > '${file}'; sleep 1000; wait`) }))
    yield* untilPids(file, 1)
    return yield* Effect.sync(() => (isKilled ? process.kill(process.pid, "SIGKILL") : process.exit(3)))
  })
)
