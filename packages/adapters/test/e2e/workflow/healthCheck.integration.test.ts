import { describe, it } from "@effect/vitest"
import { Effect, Queue } from "effect"
import { fork } from "node:child_process"
import { bundle } from "../../bundle.ts"
import { isMissing } from "../../postgres/postgres.ts"
import { database, freePort } from "../../workflow/servers.ts"

describe("the check of runners", () => {
  it.live.skipIf(isMissing)(
    "continues on another runner when its own was killed, before the locks of that one expire",
    () =>
      Effect.gen(function* () {
        const url = yield* database
        const program = yield* Effect.promise(() =>
          bundle(new URL("../../workflow/checkingRunner.ts", import.meta.url))
        )
        const reports = yield* Queue.unbounded<string>()
        const start = (name: string) =>
          Effect.flatMap(freePort, (port) =>
            Effect.acquireRelease(
              Effect.sync(() => {
                const child = fork(program, [url, String(port)], { stdio: ["ignore", "ignore", "inherit", "ipc"] })
                return child.on("message", (report) => Queue.offerUnsafe(reports, `${name} ${String(report)}`))
              }),
              (child) => Effect.sync(() => child.kill("SIGKILL"))
            )
          )
        const reported = (...wanted: ReadonlyArray<string>) =>
          Effect.gen(function* () {
            while (true) {
              const report = yield* Queue.take(reports)
              if (wanted.includes(report)) return report
            }
          })
        const first = yield* start("first")
        yield* reported("first checks")
        const second = yield* start("second")
        if ((yield* reported("second assigned", "second not assigned")) === "second assigned") {
          yield* reported("second checks")
          second.kill("SIGKILL")
          yield* reported("first checks")
        } else {
          first.kill("SIGKILL")
          yield* reported("second checks")
        }
      })
  )
})
