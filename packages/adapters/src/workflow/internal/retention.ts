import * as ClusterSchema from "effect/cluster/ClusterSchema"
import * as EntityAddress from "effect/cluster/EntityAddress"
import * as EntityId from "effect/cluster/EntityId"
import * as EntityType from "effect/cluster/EntityType"
import { MessageStorage } from "effect/cluster/MessageStorage"
import { Sharding } from "effect/cluster/Sharding"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import { Retention } from "../Retention.ts"
import { WorkflowsError } from "../WorkflowsError.ts"

/** The retention of an engine of `effect/cluster`. */
export const layer: Layer.Layer<Retention, never, WorkflowEngine | Sharding | MessageStorage> = Layer.effect(
  Retention,
  Effect.gen(function* () {
    const engine = yield* WorkflowEngine
    const sharding = yield* Sharding
    const storage = yield* MessageStorage
    return {
      forget: Effect.fnUntraced(function* (workflow, executionId) {
        const result = yield* engine.poll(workflow, executionId)
        if (Option.isNone(result) || result.value._tag !== "Complete") return false
        const id = EntityId.make(executionId)
        const group = Context.get(workflow.annotations, ClusterSchema.ShardGroup)(id)
        // As the engine addresses executions and their clocks.
        for (const type of [`Workflow/${workflow._tag}`, "Workflow/-/DurableClock"]) {
          const address = EntityAddress.make({
            entityType: EntityType.make(type),
            entityId: id,
            shardId: sharding.getShardId(id, group)
          })
          yield* Effect.mapError(
            storage.clearAddress(address),
            (cause) => new WorkflowsError({ message: "An execution could not be deleted.", cause })
          )
        }
        return true
      })
    }
  })
)
