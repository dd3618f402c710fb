import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as RunningConcurrency from "../../RunningConcurrency.ts"
import type { Concurrency, Control } from "../../TaskStore.ts"
import type * as Driver from "../../TaskStoreDriver.ts"
import { TaskStoreError } from "../../TaskStoreError.ts"

/** What the concurrency of running workers needs of its store. */
export interface StoreParts {
  readonly place: string
  readonly control: Effect.Effect<Control, TaskStoreError>
  /** The control revision has grown. */
  readonly announce: Effect.Effect<void>
}

const Settings = Schema.fromJsonString(Schema.Array(RunningConcurrency.RunningConcurrency))

const decode = Schema.decodeUnknownEffect(Schema.NullOr(Settings))

const encode = Schema.encodeSync(Settings)

const name = "concurrency"

/** The concurrency that was set for running workers, in a store whose driver keeps texts. */
export const make = (driver: Driver.Texts, { announce, control, place }: StoreParts): Concurrency => {
  const read = Effect.flatMap(driver.read(name), (text) =>
    Effect.mapBoth(decode(text), {
      onSuccess: (settings) => ({ text: text === null ? null : String(text), settings: settings ?? [] }),
      onFailure: (cause) =>
        new TaskStoreError({
          reason: "Unusable",
          message: `${place} holds a concurrency of workers that cannot be read. Set it again with a newer version.`,
          cause
        })
    })
  )

  const set: Concurrency["set"] = Effect.fnUntraced(function* (setting) {
    // Until no other process has changed it in between.
    while (true) {
      const { settings, text } = yield* read
      const { revision } = yield* control
      const after = RunningConcurrency.after(settings, { ...setting, revision, at: yield* DateTime.now })
      if (yield* driver.write({ name, before: text, text: encode(after), isControl: true })) return yield* announce
    }
  })

  return { list: Effect.map(read, ({ settings }) => settings), set }
}
