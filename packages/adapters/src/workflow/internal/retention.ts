/**
 * The retention of an engine of `effect/cluster`, which keeps the messages of an execution and their replies in two tables.
 * The storage of the engine cannot list executions, so the ones that have ended are read from its tables.
 */
import * as ClusterSchema from "effect/cluster/ClusterSchema"
import * as EntityAddress from "effect/cluster/EntityAddress"
import * as EntityId from "effect/cluster/EntityId"
import * as EntityType from "effect/cluster/EntityType"
import { MessageStorage } from "effect/cluster/MessageStorage"
import { Sharding } from "effect/cluster/Sharding"
import * as Snowflake from "effect/cluster/Snowflake"
import * as MachineId from "effect/cluster/MachineId"
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import { WorkflowEngine } from "effect/workflow/WorkflowEngine"
import { Retention } from "../Retention.ts"
import { WorkflowsError } from "../WorkflowsError.ts"

/** The engine's names of executions and of their clocks. */
const clocks = "Workflow/-/DurableClock"
const executions = "Workflow/%"

const pageSize = 500

/** The last reply to the message that started an execution. */
const Replied = Schema.Array(
  Schema.Struct({ id: Schema.String, entity_type: Schema.String, entity_id: Schema.String, reply: Schema.String })
)
const decodeReplied = Schema.decodeUnknownEffect(Replied)

/** An execution that is suspended has a reply as well. */
const Complete = Schema.fromJsonString(
  Schema.Union([
    Schema.Struct({ _tag: Schema.Literal("Success"), value: Schema.Struct({ _tag: Schema.Literal("Complete") }) }),
    Schema.Struct({ _tag: Schema.Literal("Failure") })
  ])
)
const isComplete = (reply: string) => Option.isSome(Schema.decodeOption(Complete)(reply))

const failed = (message: string) => Effect.mapError((cause: unknown) => new WorkflowsError({ message, cause }))

/** The retention of an engine of `effect/cluster`. */
export const layer: Layer.Layer<Retention, never, WorkflowEngine | Sharding | MessageStorage | SqlClient.SqlClient> =
  Layer.effect(
    Retention,
    Effect.gen(function* () {
      const engine = yield* WorkflowEngine
      const sharding = yield* Sharding
      const storage = yield* MessageStorage
      const sql = yield* SqlClient.SqlClient

      /** The executions after a message whose last reply is older than a time, in the order in which they were started. */
      const replied = (after: string, before: DateTime.Utc) => {
        const limit = Snowflake.make({
          machineId: MachineId.make(0),
          sequence: 0,
          timestamp: DateTime.toEpochMillis(before)
        })
        return Effect.flatMap(
          sql`
          SELECT CAST(m.id AS TEXT) AS id, m.entity_type, m.entity_id, r.payload AS reply
          FROM cluster_messages m JOIN cluster_replies r ON r.id = m.last_reply_id
          WHERE m.tag = 'run' AND m.entity_type LIKE ${executions} AND m.entity_type <> ${clocks}
            AND m.id > ${BigInt(after)} AND r.id < ${limit}
          ORDER BY m.id LIMIT ${pageSize}`,
          decodeReplied
        )
      }

      const deleteAll = (ids: ReadonlyArray<string>) => {
        const theirs = sql`entity_id IN ${sql.in(ids)} AND entity_type LIKE ${executions}`
        return sql.withTransaction(
          Effect.andThen(
            sql`DELETE FROM cluster_replies WHERE request_id IN (SELECT id FROM cluster_messages WHERE ${theirs})`,
            sql`DELETE FROM cluster_messages WHERE ${theirs}`
          )
        )
      }

      return {
        forget: Effect.fnUntraced(function* (workflow, executionId) {
          const result = yield* engine.poll(workflow, executionId)
          if (Option.isNone(result) || result.value._tag !== "Complete") return false
          const id = EntityId.make(executionId)
          const group = Context.get(workflow.annotations, ClusterSchema.ShardGroup)(id)
          // As the engine addresses executions and their clocks.
          for (const type of [`Workflow/${workflow._tag}`, clocks]) {
            const address = EntityAddress.make({
              entityType: EntityType.make(type),
              entityId: id,
              shardId: sharding.getShardId(id, group)
            })
            yield* failed("An execution could not be deleted.")(storage.clearAddress(address))
          }
          return true
        }),
        forgetEnded: (before) =>
          Effect.gen(function* () {
            let forgotten = 0
            let after = "0"
            while (true) {
              const page = yield* replied(after, before)
              const ids = page.filter(({ reply }) => isComplete(reply)).map(({ entity_id }) => entity_id)
              if (ids.length > 0) yield* deleteAll(ids)
              forgotten += ids.length
              const last = page.at(-1)
              if (last === undefined || page.length < pageSize) return forgotten
              after = last.id
            }
          }).pipe(failed("Executions that have ended could not be deleted."))
      }
    })
  )
