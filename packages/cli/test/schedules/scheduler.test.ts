import { TaskStore } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"
import { DateTime, Deferred, Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Schedule from "../../src/schedules/Schedule.ts"
import * as scheduler from "../../src/schedules/scheduler.ts"

const berlin: Schedule.Definition = {
  name: "nightly",
  cron: "30 2 * * *",
  timezone: "Europe/Berlin",
  args: ["run", "pages.csv", "--queue", "pages-{{date}}"],
  missed: "once",
  overlap: "skip"
}

const iso = (time: Date | DateTime.Utc | null) =>
  time === null
    ? ""
    : new Date(String(time instanceof Date ? time : DateTime.formatIso(time))).toISOString().slice(0, 16)

/** A command that records when it runs, and for which tick. */
const recording = () => {
  const ran: Array<string> = []
  const runCommand: scheduler.RunCommand<never> = (tick, args) =>
    Effect.map(DateTime.now, (now) => {
      ran.push(`${iso(now)} ${args.at(-1)} of ${iso(tick.at)}`)
      return 0
    })
  return { ran, runCommand }
}

const at = (time: string) => TestClock.setTime(Date.parse(time))

/** Lets time pass in steps, so that every timer sees the time at which it is due. */
const pass = (duration: Duration.Input, step: Duration.Input = "15 minutes") =>
  Effect.repeat(TestClock.adjust(step), {
    times: Math.ceil(Duration.toMillis(duration) / Duration.toMillis(step)) - 1
  })

const test = (name: string, effect: Effect.Effect<void, unknown, TaskStore.TaskStore>) =>
  it.effect(name, () => Effect.provide(effect, TaskStore.layerMemory, { local: true }))

const start = (runCommand: scheduler.RunCommand<never>, owner = "a") =>
  Effect.forkChild(scheduler.run({ owner, runCommand }))

describe("a schedule", () => {
  test(
    "runs at the same local time through both changes of daylight-saving time",
    Effect.gen(function* () {
      const { ran, runCommand } = recording()
      yield* at("2026-03-28T01:15:00Z")
      yield* Schedule.start(berlin)
      for (const day of ["2026-03-28T01:15:00Z", "2026-03-29T01:15:00Z", "2026-03-30T00:15:00Z"]) {
        // Without a scheduler, the time in between passes at once.
        yield* at(day)
        const fiber = yield* start(runCommand)
        yield* pass("30 minutes")
        yield* Fiber.interrupt(fiber)
      }
      assert.deepStrictEqual(ran, [
        "2026-03-28T01:30 pages-2026-03-28 of 2026-03-28T01:30",
        // 02:30 does not exist on this day.
        "2026-03-29T01:30 pages-2026-03-29 of 2026-03-29T01:30",
        "2026-03-30T00:30 pages-2026-03-30 of 2026-03-30T00:30"
      ])
    })
  )

  it("happens once in the hour that exists twice, and in both if it is of every hour", () => {
    const ticks = (cron: string, count: number) => {
      const found = [DateTime.makeUnsafe("2026-10-24T23:45:00Z")]
      while (found.length <= count) {
        found.push(Schedule.nextAfter({ ...berlin, cron }, found.at(-1) ?? DateTime.makeUnsafe(0)))
      }
      return found.slice(1).map(iso)
    }
    assert.deepStrictEqual(ticks("30 2 * * *", 2), ["2026-10-25T00:30", "2026-10-26T01:30"])
    assert.deepStrictEqual(ticks("30 * * * *", 3), ["2026-10-25T00:30", "2026-10-25T01:30", "2026-10-25T02:30"])
  })

  test(
    "runs each tick once, with two schedulers on one store",
    Effect.gen(function* () {
      const { ran, runCommand } = recording()
      yield* at("2026-06-01T00:00:00Z")
      yield* Schedule.start({ ...berlin, cron: "*/10 * * * *", timezone: "UTC" })
      const first = yield* start(runCommand, "a")
      const second = yield* start(runCommand, "b")
      yield* pass("30 minutes", "5 minutes")
      assert.strictEqual(ran.length, 3)
      yield* Fiber.interrupt(first)
      yield* pass("20 minutes", "5 minutes")
      assert.strictEqual(new Set(ran).size, 5)
      assert.strictEqual(ran.length, 5)
      yield* Fiber.interrupt(second)
    })
  )

  for (const [missed, expected] of [
    ["once", ["2026-06-01T01:00", "2026-06-04T01:00"]],
    ["skip", ["2026-06-04T01:00"]],
    ["all", ["2026-06-01T01:00", "2026-06-02T01:00", "2026-06-03T01:00", "2026-06-04T01:00"]]
  ] as const) {
    test(
      `runs missed ticks as --missed ${missed} says`,
      Effect.gen(function* () {
        const { ran, runCommand } = recording()
        yield* at("2026-06-01T00:00:00Z")
        yield* Schedule.start({ ...berlin, cron: "0 1 * * *", timezone: "UTC", missed })
        yield* at("2026-06-04T00:45:00Z")
        const fiber = yield* start(runCommand)
        yield* pass("30 minutes")
        assert.deepStrictEqual(
          ran.map((line) => line.slice(-16)),
          [...expected]
        )
        yield* Fiber.interrupt(fiber)
      })
    )
  }

  for (const [overlap, expected] of [
    ["skip", { started: ["00:10", "00:40"], ended: ["00:10"] }],
    ["queue", { started: ["00:10", "00:20", "00:40"], ended: ["00:10", "00:20"] }],
    ["cancel", { started: ["00:10", "00:20", "00:30", "00:40"], ended: [] }]
  ] as const) {
    test(
      `handles a command that takes longer than its interval as --overlap ${overlap} says`,
      Effect.gen(function* () {
        const started: Array<string> = []
        const ended: Array<string> = []
        const runCommand: scheduler.RunCommand<never> = (tick) =>
          Effect.gen(function* () {
            started.push(iso(tick.at).slice(11))
            yield* Effect.sleep("25 minutes")
            ended.push(iso(tick.at).slice(11))
            return 0
          })
        yield* at("2026-06-01T00:05:00Z")
        yield* Schedule.start({ ...berlin, cron: "*/10 * * * *", timezone: "UTC", overlap })
        const fiber = yield* start(runCommand)
        yield* pass(overlap === "queue" ? "58 minutes" : "38 minutes", "1 minute")
        assert.deepStrictEqual<unknown>({ started, ended }, expected)
        yield* Fiber.interrupt(fiber)
      })
    )
  }

  test(
    "runs a command again whose scheduler stopped, also a tick that would be too late to start",
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      yield* at("2026-06-01T00:30:00Z")
      yield* Schedule.start({ ...berlin, cron: "0 1 * * *", timezone: "UTC", missed: "skip" })
      const first = yield* start(() => Effect.andThen(Deferred.succeed(begun, undefined), Effect.never))
      yield* pass("1 hour")
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(first)
      const { ran, runCommand } = recording()
      const second = yield* start(runCommand, "b")
      yield* pass("1 hour")
      assert.deepStrictEqual(
        ran.map((line) => line.slice(-16)),
        ["2026-06-01T01:00"]
      )
      yield* Fiber.interrupt(second)
    })
  )

  test(
    "does not run while it is paused, and does not run missed ticks later",
    Effect.gen(function* () {
      const { ran, runCommand } = recording()
      yield* at("2026-06-01T00:05:00Z")
      const often = { ...berlin, cron: "*/10 * * * *", timezone: "UTC" }
      yield* Schedule.start(often)
      const fiber = yield* start(runCommand)
      yield* pass("10 minutes", "5 minutes")
      const ticks = Effect.map(Schedule.ticks(), (all) => all.get("nightly") ?? [])
      yield* Schedule.pause(yield* ticks, often)
      assert.isNull(Schedule.fromTicks(yield* ticks)?.next ?? null)
      yield* pass("30 minutes", "5 minutes")
      assert.strictEqual(ran.length, 1)
      yield* Schedule.resume(yield* ticks, often)
      yield* pass("10 minutes", "5 minutes")
      assert.deepStrictEqual(
        ran.map((line) => line.slice(-5)),
        ["00:10", "00:50"]
      )
      yield* Schedule.remove(yield* ticks)
      yield* pass("30 minutes", "5 minutes")
      assert.strictEqual(ran.length, 2)
      yield* Fiber.interrupt(fiber)
    })
  )
})
