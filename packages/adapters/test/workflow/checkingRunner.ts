/** A runner of an engine whose locks never expire: `checkingRunner.ts URL PORT`. It tells its parent whether it checks others. */
import { Workflows } from "@baton/adapters/workflow"
import { NodeRuntime } from "@effect/platform-node"
import { Layer, Logger, References } from "effect"

const [url = "", port = "0"] = process.argv.slice(2)

/** The shard of the check. */
const shard = /\bdefault:10\b/

/** The engine reports in its log that it begins, and which shards it is to have. */
const logger = Logger.make(({ message }) => {
  const [text, about] = Array.isArray(message) ? message : [message]
  if (text === "Starting singleton" && String(about).includes("RunnerHealth")) process.send?.("checks")
  if (text === "New shard assignments") process.send?.(shard.test(String(about)) ? "assigned" : "not assigned")
})

const engine = Workflows.layerCluster({ url, host: "127.0.0.1", port: Number(port), lockExpiration: "1 day" })

process.once("disconnect", () => process.exit())
NodeRuntime.runMain(
  Layer.launch(Layer.provide(engine, [Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "Debug")]))
)
