import { describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { add, client, isMissing, open, schema, url } from "./postgres.ts"
import * as Proxy from "./proxy.ts"

/** Waits until a session of the application listens, or until none does. */
const untilListening = Effect.fnUntraced(function* (application: string, listens: boolean) {
  const sql = yield* client()
  const sessions = sql.unsafe("SELECT FROM pg_stat_activity WHERE application_name = $1 AND query LIKE 'LISTEN%'", [
    application
  ])
  yield* Effect.repeat(sessions, { until: (found) => found.length > 0 === listens })
})

// The server never answers, so a store that waits for it keeps its test from ending.
describe.skipIf(isMissing)("closing a PostgreSQL store whose server stopped answering", () => {
  for (const listen of [true, false]) {
    it.live(`does not wait for it with listen=${listen}, with statements under way and a change to publish`, () =>
      Effect.gen(function* () {
        const proxy = yield* Proxy.make(url)
        const scope = yield* Scope.make()
        const name = yield* schema()
        const options = { url: proxy.url, schema: name, applicationName: name, listen }
        const store = yield* Scope.provide(open(options), scope)
        const waiting = yield* Effect.forkChild(store.awaitWork({ untilDrained: false }), { startImmediately: true })
        yield* untilListening(name, listen)
        yield* add(store, ["a"])
        proxy.swallow()
        const counting = yield* Effect.forkChild(store.counts, { startImmediately: true })
        const adding = yield* Effect.forkChild(add(store, ["b"]), { startImmediately: true })
        yield* Fiber.interruptAll([waiting, counting, adding])
        yield* Scope.close(scope, Exit.void)
      })
    )
  }

  it.live("does not wait for it to confirm that it stops listening", () =>
    Effect.gen(function* () {
      const proxy = yield* Proxy.make(url)
      const scope = yield* Scope.make()
      const name = yield* schema()
      const store = yield* Scope.provide(open({ url: proxy.url, schema: name, applicationName: name }), scope)
      const { revision } = yield* store.control
      const waiting = yield* Effect.forkChild(store.awaitControl(revision), { startImmediately: true })
      yield* untilListening(name, true)
      yield* Fiber.interrupt(waiting)
      proxy.swallow()
      yield* Scope.close(scope, Exit.void)
    })
  )
})
