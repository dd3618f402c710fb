/**
 * The store, and whether it keeps what it promises.
 *
 * @since 0.1.0
 */
import * as Diagnosis from "@baton/core/Diagnosis"
import { TaskStore } from "@baton/core/TaskStore"
import * as Effect from "effect/Effect"
import { storeFromUrl } from "../../run/storeFromUrl.ts"
import { StoreSchemes } from "../../run/StoreSchemes.ts"

/**
 * What there is to say of the store that a URL names.
 *
 * @category running
 * @since 0.1.0
 */
export const store = Effect.fnUntraced(function* (url: string) {
  const schemes = yield* StoreSchemes
  const colon = url.indexOf(":")
  const diagnose = schemes.get(url.slice(0, Math.max(0, colon)))?.diagnose
  return diagnose === undefined ? [yield* opened(url)] : yield* diagnose(url.slice(colon + 1))
})

/** A store that cannot tell more of itself: whether it opens and answers. */
const opened = (url: string): Effect.Effect<Diagnosis.Diagnosis, never, Effect.Services<ReturnType<typeof open>>> =>
  Effect.match(open(url), {
    onSuccess: () =>
      url === "memory:"
        ? Diagnosis.warn(
            "store",
            "Tasks are in memory, and gone with the process.",
            "Name a file: --store sqlite:PATH."
          )
        : Diagnosis.ok("store", "It opens, and answers."),
    onFailure: ({ message }) => Diagnosis.fail("store", message, "Correct --store, or the configuration.")
  })

const open = (url: string) =>
  TaskStore.use((store) => store.counts).pipe(Effect.provide(storeFromUrl(url)), Effect.scoped)
