/** `baton serve` */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { serveFlags } from "../settings/flags.ts"
import * as options from "../settings/commandFlags.ts"
import * as store from "../run/stores.ts"

/** Serves the web page and the HTTP API of a store. */
export const serve = Command.make(
  "serve",
  {
    ...serveFlags,
    open: options.toggle("open", "Open the page in the browser"),
    demo: options.toggle("demo", "Serve a demo run in memory instead of a store; it needs no setup and costs nothing")
  },
  Effect.fnUntraced(function* ({ demo, ...input }) {
    const { serve } = yield* Effect.promise(() => import("../serve/serve.ts"))
    if (!demo) return yield* Effect.provide(serve(input), store.layerNamedQueue)
    const { layer } = yield* Effect.promise(() => import("../serve/demo.ts"))
    return yield* Effect.provide(serve(input), layer)
  })
).pipe(
  Command.withDescription(
    "Serve a web page and an HTTP API with the tasks of the store, or of one queue with --queue: progress, outputs, failures by cause, and changes as they happen, of all runs on the store, in whatever process or on whatever machine. The page can requeue and cancel tasks, and pause or stop runs, unless --read-only is given.\n\n" +
      "Only this machine can use the server, unless --host names another address."
  ),
  Command.withShortDescription("Serve a web page and an HTTP API"),
  Command.withExamples([
    { command: "baton serve --open", description: "Serve the store, and open the page" },
    { command: "baton serve --queue books", description: "Serve one queue of the store" },
    { command: "baton serve --demo", description: "Show the page with a demo run" },
    {
      command: "baton serve --host 0.0.0.0 --token-file token.txt --read-only",
      description: "Let other machines look"
    },
    { command: "curl http://127.0.0.1:7777/api/queues", description: "Read the number of tasks of each queue" }
  ])
)
