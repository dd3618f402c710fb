import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Attempt, Budget, Event, Execution, Stats, Task, TaskRecord, Verification } from "@baton/core"

/** What version 0.1 wrote, with `null` for what does not exist, and the same as it is written now. */
const reads = <S extends Schema.Codec<unknown, unknown>>(name: string, schema: S, earlier: string, now: string) =>
  it(name, () => {
    const json = Schema.fromJsonString(Schema.toCodecJson(schema))
    const value = Schema.decodeUnknownSync(json)(earlier)
    assert.deepStrictEqual(value, Schema.decodeUnknownSync(json)(now))
    assert.strictEqual(JSON.stringify(value).includes("null"), false)
    assert.strictEqual(Schema.encodeUnknownSync(json)(value), now)
  })

describe("data of earlier versions, in which `null` stands for an absent key, is read", () => {
  const amounts = '"committed":{"nanoUsd":1,"tokens":2},"reserved":{"nanoUsd":0,"tokens":0}'

  reads(
    "as a budget",
    Budget.Budget,
    `{"queue":"a","limit":{"nanoUsd":null,"tokens":5},${amounts}}`,
    `{"queue":"a","limit":{"tokens":5},${amounts}}`
  )

  reads(
    "as an output",
    Execution.Execution,
    '{"output":"x","confidence":1,"usage":null,"metadata":{}}',
    '{"output":"x","confidence":1,"metadata":{}}'
  )

  reads(
    "as a verdict",
    Verification.Verification,
    '{"passed":true,"confidence":1,"feedback":"","issues":[],"usage":null}',
    '{"passed":true,"confidence":1,"feedback":"","issues":[]}'
  )

  const attempt =
    '"taskId":"a","number":1,"token":1,"owner":"w","startedAt":"2026-11-21T08:30:12.345Z","outcome":"running"'

  reads(
    "as an attempt",
    Attempt.Attempt,
    `{${attempt},"endedAt":null,"execution":null,"verification":null,"error":null,"usage":null}`,
    `{${attempt}}`
  )

  const time = '"2026-11-21T08:30:12.345Z"'
  const task = (payload: string, result: string, key: string, feedback: string) =>
    `{"id":"a","queue":"default","description":"Do it.",${payload}"overrides":{},"status":"pending",${result}"attempts":0,` +
    `"metadata":{},"priority":0,"availableAt":${time},"dependsOn":[],${key}${feedback}"verified":false,"requeues":0,` +
    `"createdAt":${time},"updatedAt":${time}}`
  const taskWithNulls = task('"payload":null,', '"result":null,', '"concurrencyKey":null,', '"feedback":null,')

  reads("as a task", Task.Task, taskWithNulls, task("", "", "", ""))

  reads(
    "as a record of a task",
    TaskRecord.TaskRecord,
    `{"task":${taskWithNulls},"token":0,"leaseUntil":null,"waitsFor":[],"checkpoint":null,"previousOutput":null,"attempts":[]}`,
    `{"task":${task("", "", "", "")},"token":0,"waitsFor":[],"attempts":[]}`
  )

  it("as a task of a version without payloads and concurrency keys", () => {
    const read = Schema.decodeUnknownSync(Schema.fromJsonString(Task.Task))
    assert.deepStrictEqual(read(task("", '"result":null,', "", '"feedback":null,')), read(task("", "", "", "")))
  })

  const counts =
    '"tasksStarted":0,"tasksCompleted":0,"tasksUnverified":0,"tasksInReview":0,"tasksFailed":0,"tasksRetried":0,"tasksReleased":0,"executions":0,"leasesLost":0,"elapsedSeconds":0,"successRate":0'

  reads("as the counts of a run", Stats.Stats, `{${counts},"usage":null}`, `{${counts}}`)

  const failed =
    '{"_tag":"TaskFailed","at":"2026-11-21T08:30:12.345Z","taskId":"a","attempt":3,"outcome":"failed","feedback":"no","durationMillis":5'

  reads("as an event", Event.Event, `${failed},"usage":null}`, `${failed}}`)
})
