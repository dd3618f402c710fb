import * as assert from "node:assert/strict"
import * as Effect from "effect/Effect"
import type { Claim, ReviewDecision, Settlement } from "../../TaskStore.ts"
import { atMost, type Usage, zero } from "../../Usage.ts"
import * as Model from "./model.ts"
import { transfer } from "./transferring.ts"
import { compareUsage } from "./usage.ts"
import {
  claim,
  complete,
  execution,
  fail,
  id,
  ids,
  leaseOf,
  longLease,
  release,
  retry,
  sendToReview,
  task,
  type Fixture,
  usage
} from "./fixture.ts"

interface Run {
  readonly fixture: Fixture
  /** Off for a store with its own clock, whose leases are made too long to expire here. */
  readonly virtualTime: boolean
  /** Off for a store that cannot revise tasks: then it is not asked to. */
  readonly revisions: boolean
  /** Off for a store that treats each claimed task as started. */
  readonly starts: boolean
  /** Off for a store that cannot fail tasks that wait: then it is not asked to. */
  readonly dependentFailures: boolean
  /** Off for a store that holds no tasks for review. */
  readonly reviews: boolean
  readonly model: Model.Model
  /** Every lease that was issued. */
  readonly leases: Array<Claim>
  decisions: number
  /** The number of writes that had a usage, which are different each time. */
  metered: number
}

/** Applies the commands to the store and to the model, and compares them after each. */
export const check = Effect.fnUntraced(function* (
  fixture: Fixture,
  {
    concurrencyKeys,
    dependentFailures,
    reviews,
    revisions,
    starts,
    virtualTime
  }: {
    readonly concurrencyKeys: boolean
    readonly dependentFailures: boolean
    readonly reviews: boolean
    readonly revisions: boolean
    readonly starts: boolean
    readonly virtualTime: boolean
  },
  commands: ReadonlyArray<Model.Command>
) {
  const specs = concurrencyKeys
    ? Model.specs
    : Model.specs.map(({ dependsOn, id, priority }) => ({ dependsOn, id, priority }))
  const run: Run = {
    fixture,
    dependentFailures,
    reviews,
    revisions,
    starts,
    virtualTime,
    model: Model.make(specs),
    leases: [],
    decisions: 0,
    metered: 0
  }
  yield* fixture.store.add(specs.map(({ id, ...spec }) => task(id, spec)))
  for (const command of commands) {
    if (!virtualTime) yield* tick(run)
    yield* perform(run, command)
    yield* compare(run)
  }
  yield* compareLedgers(run)
  yield* transfer(fixture)
})

/** On a real clock each command has to happen at a later millisecond, or the orders of store and model differ. */
const tick = ({ model, fixture }: Run) => {
  model.now++
  return fixture.advance(0.02)
}

/** What the store supports of an ending. */
const supported = ({ reviews, virtualTime }: Run, ending: Model.Ending): Model.Ending => {
  if (ending.way === "Retry") return virtualTime ? ending : { ...ending, delay: 0 }
  return ending.way === "Review" && !reviews ? { ...ending, way: "Complete" } : ending
}

const compare = Effect.fnUntraced(function* ({ model, fixture }: Run) {
  const { tasks } = yield* fixture.store.list()
  assert.deepEqual(
    tasks.map(({ attempts, id, status }) => [id, status, attempts]),
    Array.from(model.tasks.values(), ({ attempts, id, status }) => [id, status, attempts])
  )
  assert.deepEqual({ ...(yield* fixture.store.counts) }, Model.counts(model))
  yield* compareUsage(fixture)
})

const compareLedgers = Effect.fnUntraced(function* ({ model, fixture }: Run) {
  for (const { id: name, outcomes } of model.tasks.values()) {
    const ledger = yield* fixture.store.attempts(id(name))
    assert.deepEqual(
      ledger.map(({ outcome, token }) => [token, outcome]),
      outcomes.map((outcome, index) => [index + 1, outcome])
    )
  }
})

const chosen = (run: Run, choices: ReadonlyArray<number>): ReadonlyArray<Claim> =>
  choices.flatMap((choice) => run.leases.at(-1 - choice) ?? [])

const names = (choices: ReadonlyArray<number>) => choices.flatMap((choice) => Model.specs[choice]?.id ?? [])

/** Changes the model for the current leases, and returns the others with the status that their tasks have then. */
const fenced = (run: Run, leases: ReadonlyArray<Claim>, change: (task: Model.ModelTask, index: number) => void) =>
  leases
    .filter((claimed, index) => {
      const held = Model.held(run.model, leaseOf(claimed))
      if (held !== undefined) change(held, index)
      return held === undefined
    })
    .map(({ task, token }) => ({ taskId: task.id, token, status: run.model.tasks.get(task.id)?.status }))

/** Known, bounded and unknown usage in turn, and none. */
const nextUsage = (run: Run): Usage | undefined => {
  const number = ++run.metered
  switch (number % 5) {
    case 0:
      return undefined
    case 1:
      return atMost({ costUsd: number / 7, tokens: number })
    case 2:
      return { ...zero, cacheReadTokens: number, cacheWriteTokens: 1, costUsd: null }
    default:
      return usage(number, number / 3e7)
  }
}

const settlement = (run: Run, claimed: Claim, ending: Model.Ending): Settlement => {
  const used = { usage: nextUsage(run) }
  switch (ending.way) {
    case "Complete":
      return { ...complete(claimed), ...used }
    case "Review":
      return { ...sendToReview(claimed), ...used }
    case "Retry":
      return { ...retry(claimed, { delay: run.fixture.seconds(ending.delay) }), ...used }
    case "Fail":
      return { ...fail(claimed), ...used }
    case "Release":
      return release(claimed, "shutting down", used)
  }
}

const decisionOf = ({ task, token }: Claim, way: Model.Decision, by: string): ReviewDecision => {
  const fields = { taskId: task.id, token, by }
  switch (way) {
    case "Approve":
      return { ...fields, _tag: "Approve" }
    case "Reject":
      return { ...fields, _tag: "Reject", comment: "again" }
    case "GiveUp":
      return { ...fields, _tag: "Reject", comment: "no more", giveUp: true }
    case "Edit":
      return { ...fields, _tag: "Edit", text: "better" }
    case "Expire":
      return { ...fields, _tag: "Expire" }
  }
}

const perform = Effect.fnUntraced(function* (run: Run, command: Model.Command) {
  const { fixture, leases, model, starts, virtualTime } = run
  const lease = (seconds: number) => (virtualTime ? fixture.seconds(seconds) : longLease)
  switch (command._tag) {
    case "Add": {
      const { added, existing } = yield* fixture.store.add(Model.specs.map(({ id }) => task(id)))
      assert.deepEqual([added, existing], [[], Model.specs.length])
      return
    }
    case "Claim": {
      const expected = Model.claimable(model, command.limit)
      const claims = yield* claim(fixture, {
        limit: command.limit,
        lease: lease(command.lease),
        started: command.started
      })
      assert.deepEqual(
        claims.map((claimed) => claimed.task.id),
        expected.map(({ id }) => id)
      )
      for (const [index, before] of expected.entries()) {
        Model.claim(model, before, command.lease, !starts || index < command.started)
        const after = model.tasks.get(before.id)
        const claimed = claims[index]
        assert.ok(after && claimed && Model.describes(after, claimed), `the claim of ${before.id} is as expected`)
        leases.push(claimed)
      }
      return
    }
    case "Start": {
      const picked = chosen(run, command.leases)
      const lost = fenced(run, picked, (held) => Model.start(model, held))
      const reply = yield* fixture.store.start(picked.map(leaseOf))
      assert.deepEqual(reply.lost, starts ? lost : [])
      return
    }
    case "Checkpoint": {
      const [claimed] = chosen(run, [command.lease])
      if (claimed === undefined) return
      const output = execution(`saved under ${claimed.token}`)
      const lost = fenced(run, [claimed], (held) => Model.checkpoint(model, held, output.output))
      const reply = yield* fixture.store.checkpoint([{ ...leaseOf(claimed), execution: output, usage: nextUsage(run) }])
      assert.deepEqual(reply.lost, lost)
      return
    }
    case "Settle": {
      const picked = command.endings.flatMap((ending) =>
        chosen(run, [ending.lease]).map((claimed) => ({ claimed, ending: supported(run, ending) }))
      )
      const lost = fenced(
        run,
        picked.map(({ claimed }) => claimed),
        (held, index) => {
          const pick = picked[index]
          if (pick !== undefined) Model.settle(model, held, pick.ending)
        }
      )
      const reply = yield* fixture.store.settle(picked.map(({ claimed, ending }) => settlement(run, claimed, ending)))
      assert.deepEqual(reply.lost, lost)
      return
    }
    case "Decide": {
      const [claimed] = chosen(run, [command.lease])
      const { reviews } = fixture.store
      if (claimed === undefined || reviews === undefined) return
      const isDecided = Model.decide(model, leaseOf(claimed), command.way)
      // The same decision of the same person twice succeeds, so each decision is by another person.
      const by = `person ${run.decisions++}`
      const { decided, refused } = yield* reviews.decide([decisionOf(claimed, command.way, by)])
      const status = model.tasks.get(claimed.task.id)?.status
      assert.deepEqual(decided, isDecided ? [claimed.task.id] : [])
      assert.deepEqual(
        refused.map(({ status, taskId }) => ({ status, taskId })),
        isDecided ? [] : [{ status, taskId: claimed.task.id }]
      )
      return
    }
    case "Extend": {
      const picked = chosen(run, command.leases)
      const lost = fenced(run, picked, (held) => Model.extend(model, held, command.lease))
      const reply = yield* fixture.store.extend(picked.map(leaseOf), lease(command.lease))
      assert.deepEqual(reply.lost, lost)
      return
    }
    case "Sweep": {
      if (!virtualTime) return
      const expected = Model.sweep(model, command)
      const swept = yield* fixture.store.sweep(command)
      assert.deepEqual(swept.map(({ taskId }) => String(taskId)).toSorted(), expected.toSorted())
      return
    }
    case "Pass": {
      if (!virtualTime) return
      model.now += command.seconds
      yield* fixture.advance(command.seconds)
      return
    }
    case "Cancel": {
      const expected = names(command.tasks).filter((name) => Model.cancel(model, name))
      assert.deepEqual(
        [...(yield* fixture.store.cancel({ ids: ids(...names(command.tasks)) }))].toSorted(),
        expected.toSorted()
      )
      return
    }
    case "Revise": {
      if (!run.revisions) return
      const { feedback, tasks } = command
      const expected = names(tasks).filter((name) => Model.revise(model, name))
      const revisions = names(tasks).map((name) => ({ taskId: id(name), feedback, work: task(name) }))
      assert.deepEqual([...(yield* fixture.store.revise(revisions))].toSorted(), expected.toSorted())
      return
    }
    case "FailWaiting": {
      if (!run.dependentFailures) return
      const expected = names(command.tasks).filter((name) => Model.failWaiting(model, name))
      const failed = yield* fixture.store.failWaiting(ids(...names(command.tasks)), "It waits for a failed task.")
      assert.deepEqual([...failed].toSorted(), expected.toSorted())
      return
    }
    case "Requeue": {
      const expected = names(command.tasks).filter((name) => Model.requeue(model, name))
      assert.deepEqual(
        [...(yield* fixture.store.requeue({ ids: ids(...names(command.tasks)) }))].toSorted(),
        expected.toSorted()
      )
      return
    }
  }
})
