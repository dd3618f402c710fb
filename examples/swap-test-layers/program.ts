/** Runs a list and returns a summary. It depends on services only, not on a store, a model or a clock. */
import { Orchestrator, Task, TaskStore } from "@baton/core"
import { Effect } from "effect"

export const summarise = Effect.fn("summarise")(function* (titles: ReadonlyArray<string>) {
  const store = yield* TaskStore.TaskStore
  const orchestrator = yield* Orchestrator.Orchestrator
  yield* store.add(
    titles.map((title, index) => Task.makeNew({ id: `book-${index}`, description: `Summarise ${title}` }))
  )
  const { counts, stats } = yield* orchestrator.run
  return `${counts.completed} of ${titles.length} summarised in ${Math.round(stats.elapsedSeconds)} s`
})
