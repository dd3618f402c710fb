import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { AttemptProgress } from "../../AttemptProgress.ts"
import type { Progress } from "../../TaskStore.ts"
import type * as Driver from "../../TaskStoreDriver.ts"
import { TaskStoreError } from "../../TaskStoreError.ts"
import * as Text from "./text.ts"

const Json = Schema.fromJsonString(AttemptProgress)

const decode = Schema.decodeUnknownEffect(Json)

const encode = Schema.encodeSync(Json)

/** The progress of attempts in a store whose driver keeps it. */
export const make = (driver: Driver.Progress, place: string): Progress => ({
  save: (reports) =>
    reports.length === 0
      ? Effect.void
      : driver.save(
          reports.map(({ taskId, token, ...reported }) => ({ id: Text.encode(taskId), token, text: encode(reported) }))
        ),
  of: (id) =>
    Effect.flatMap(driver.read(Text.encode(id)), (text) =>
      text === null
        ? Effect.succeedNone
        : Effect.mapBoth(decode(text), {
            onSuccess: Option.some,
            onFailure: (cause) =>
              new TaskStoreError({
                reason: "Unusable",
                message: `${place} holds a progress of the task ${JSON.stringify(id)} that cannot be read.`,
                cause
              })
          })
    )
})
