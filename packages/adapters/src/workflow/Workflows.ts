/**
 * Engines for workflows: in memory, in a SQLite file, or on any number of machines over PostgreSQL.
 *
 * An engine keeps which steps of an execution have completed. Tasks are in a `TaskStore`, which can be another database. Steps
 * are executed at least once, and the tasks of a `TaskActivity` are added once.
 *
 * @since 0.2.0
 */
import * as PgClient from "@effect/sql-pg/PgClient"
import * as NodeClusterSocket from "@effect/platform-node/NodeClusterSocket"
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as ClusterWorkflowEngine from "effect/cluster/ClusterWorkflowEngine"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as Runners from "effect/cluster/Runners"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SqlMessageStorage from "effect/cluster/SqlMessageStorage"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as SqlClient from "effect/sql/SqlClient"
import * as WorkflowEngine from "effect/workflow/WorkflowEngine"
import * as children from "./internal/children.ts"
import * as server from "./internal/clusterServer.ts"
import * as healthCheck from "./internal/healthCheck.ts"
import * as retention from "./internal/retention.ts"
import * as sqliteClient from "./internal/sqliteClient.ts"
import type { Retention } from "./Retention.ts"
import { reasonOf, unusable, type WorkflowsError } from "./WorkflowsError.ts"

/**
 * An engine in the memory of this process, for tests and for programs that need not survive it.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerMemory: Layer.Layer<WorkflowEngine.WorkflowEngine> = children.layer(WorkflowEngine.layerMemory)

/**
 * Executions are divided into shards, and before each result a runner reads the locks of all of its shards. The number has to be
 * the same in all processes and versions: it decides in which shard an execution is.
 *
 * A process that stops does not wait for steps, because another one repeats them. A message that arrives while shards move is
 * found by polling.
 */
const common = {
  shardsPerGroup: 64,
  entityMailboxCapacity: "unbounded",
  entityTerminationTimeout: "1 second",
  entityMessagePollInterval: "2 seconds"
} as const

/** The engine, and the deletion of the rows that finished executions leave. */
const engine = Layer.provideMerge(retention.layer, children.layer(ClusterWorkflowEngine.layer))

/**
 * An engine for one process, in a SQLite file: executions continue after a crash. The file is locked, so that a second process
 * with the same file fails at its start.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerSingle = (options: {
  readonly filename: string
}): Layer.Layer<WorkflowEngine.WorkflowEngine | Retention, WorkflowsError> =>
  engine.pipe(
    Layer.provide(Sharding.layer),
    Layer.provide(Runners.layerNoop),
    Layer.provide(SqlMessageStorage.layer),
    Layer.provide([RunnerStorage.layerMemory, RunnerHealth.layerNoop]),
    Layer.provide(ShardingConfig.layer(common)),
    Layer.provide([sqliteClient.layer(options), NodeCrypto.layerDigest])
  )

/**
 * How a runner takes part in a cluster.
 *
 * @category models
 * @since 0.2.0
 */
export interface ClusterOptions {
  /** A PostgreSQL URL. Pools in transaction mode do not work: each runner holds its locks on one connection. */
  readonly url: string | Redacted.Redacted
  /** The address at which the other runners reach this one; each runner has its own. */
  readonly host: string
  readonly port: number
  /**
   * When the executions of a runner that died or froze continue on another one. With less, a busy runner loses its executions.
   * Default 20 seconds.
   */
  readonly lockExpiration?: Duration.Input | undefined
  /** How runners find out that another one died. Default `ping`. */
  readonly runnerHealth?: "ping" | "k8s" | undefined
}

const lockExpiration = "20 seconds"

/**
 * A runner whose process has ended refuses connections, which the others notice before its locks expire. One that is slow or frozen
 * still has the whole time. A look at the list of runners is a small query.
 */
const noticed = { runnerHealthCheckInterval: "5 seconds", refreshAssignmentsInterval: "1 second" } as const

/**
 * An engine on any number of machines over PostgreSQL 14 or newer. Every runner needs the layers of all workflows.
 *
 * @category layers
 * @since 0.2.0
 */
export const layerCluster = (
  options: ClusterOptions
): Layer.Layer<WorkflowEngine.WorkflowEngine | Retention, WorkflowsError> => {
  const address = RunnerAddress.make(options.host, options.port)
  const shardingConfig = {
    ...common,
    runnerAddress: Option.some(address),
    runnerListenAddress: Option.some(RunnerAddress.make("0.0.0.0", options.port)),
    shardLockExpiration: options.lockExpiration ?? lockExpiration,
    ...noticed
  }
  return Layer.merge(
    engine,
    healthCheck.layer({ address, shards: common.shardsPerGroup, interval: noticed.runnerHealthCheckInterval })
  ).pipe(
    Layer.provide(
      NodeClusterSocket.layer({ storage: "byo", runnerHealth: options.runnerHealth ?? "ping", shardingConfig })
    ),
    Layer.provide([SqlMessageStorage.layer, Layer.orDie(SqlRunnerStorage.layer)]),
    Layer.provide([ShardingConfig.layerFromEnv(shardingConfig), NodeCrypto.layerDigest]),
    Layer.provide(
      postgres(
        options,
        typeof options.url === "string" ? Redacted.make(options.url) : options.url,
        options.lockExpiration ?? lockExpiration
      )
    ),
    Layer.catch((error) =>
      Layer.effectContext<WorkflowEngine.WorkflowEngine | Retention, WorkflowsError, never>(
        error._tag === "WorkflowsError"
          ? Effect.fail(error)
          : unusable(isInUse(error) ? portInUse(options.port) : error)
      )
    )
  )
}

const isInUse = (error: unknown): boolean => reasonOf(error).includes("EADDRINUSE")

const portInUse = (port: number) =>
  new Error(`another process uses the port ${port}. Give each process with workflows its own address.`)

/**
 * A pool of connections to a server that the engine can work with: others would make it fail later, or run executions twice.
 */
const postgres = (
  { host, port }: ClusterOptions,
  url: Redacted.Redacted,
  lockExpiration: Duration.Input
): Layer.Layer<PgClient.PgClient | SqlClient.SqlClient, WorkflowsError> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const context = yield* Effect.catchIf(
        connect(url, server.settings(lockExpiration)),
        (error) => reasonOf(error).includes("unsupported startup parameter"),
        // A pooler in session mode takes no settings; its own time limits hold.
        () => connect(url)
      )
      const sql = Context.get(context, PgClient.PgClient)
      yield* server.holdAddress(sql, { address: `${host}:${port}`, lockExpiration })
      return context
    }).pipe(Effect.catchTag("SqlError", unusable))
  )

const connect = Effect.fnUntraced(function* (
  url: Redacted.Redacted,
  startupParameters?: Readonly<Record<string, string>>
) {
  const context = yield* Layer.build(PgClient.layer({ url, applicationName: "baton-workflows", startupParameters }))
  yield* server.check(Context.get(context, PgClient.PgClient))
  return context
})
