import { RedisTaskStore } from "@baton/adapters/redis"
import { Task, TaskStore } from "@baton/core"
import { RedisClient } from "@redis/client"
import { Context, Duration, Effect, Layer, Logger } from "effect"
import { randomUUID } from "node:crypto"
import { redisUrl } from "../servers/provided.ts"
import * as Servers from "../servers/redis.ts"

/** The URL of the shared server; null where there is none, and then its tests are skipped. */
export const sharedUrl = redisUrl

export const isMissing = sharedUrl === null

/** Whether tests cannot start private servers. */
export const cannotStart = !Servers.isInstalled()

export const url = sharedUrl ?? "redis://127.0.0.1:1"

/** The version of the protocol, for the class of clients and for each client. */
const protocol = { RESP: 2 } as const

/** Making a client's class takes tens of milliseconds. */
const createClient = RedisClient.factory(protocol)

/** A separate connection, to inspect and disturb the store. */
export const client = (to = url) =>
  Effect.acquireRelease(
    Effect.promise(() =>
      createClient({ ...protocol, url: to })
        .on("error", () => {})
        .connect()
    ),
    (redis) => Effect.sync(() => redis.destroy())
  )

export type Client = Effect.Success<ReturnType<typeof client>>

/** All keys of a store. */
export const keys = (redis: Client, prefix: string) => Effect.promise(() => redis.keys(`{${prefix}}:*`))

/** The prefix of a store that does not exist yet, and is deleted after the test. */
export const prefix = Effect.fnUntraced(function* (at = url) {
  const redis = yield* client(at)
  return yield* Effect.acquireRelease(
    Effect.sync(() => `baton-test-${randomUUID()}`),
    (name) =>
      Effect.flatMap(keys(redis, name), (found) =>
        found.length === 0 ? Effect.void : Effect.promise(() => redis.del(found))
      )
  )
})

/** A store that logs no warnings about its server's settings. */
const quiet = (options: RedisTaskStore.Options) => Layer.provide(RedisTaskStore.layer(options), Logger.layer([]))

type Options = Omit<RedisTaskStore.Options, "url"> & { readonly url?: string }

/** The store under the prefix. */
export const layerAt = (options: Options) => quiet({ url, ...options })

/** One more store under the prefix, with its own connections. */
export const open = (options: Options) =>
  Effect.map(Layer.build(Layer.fresh(quiet({ url, ...options }))), (context) =>
    Context.get(context, TaskStore.TaskStore)
  )

/** An empty store, which is deleted after the test. */
export const layer = (options?: Options) =>
  Layer.unwrap(Effect.map(prefix(options?.url), (name) => quiet({ url, ...options, prefix: name })))

/** The error that `open` has to fail with. */
export const refused = (options: Options) => Effect.flip(Effect.scoped(open(options)))

export type Store = TaskStore.TaskStore["Service"]

export const id = (name: string) => Task.TaskId.make(name)

export const add = (store: Store, ...names: ReadonlyArray<string>) =>
  store.add(names.map((name) => Task.makeNew({ id: name, description: `Do ${name}.` })))

export const claim = (store: Store, options?: Partial<TaskStore.ClaimOptions>) =>
  store.claim({ limit: 100, owner: "worker", lease: Duration.minutes(1), ...options })

export const complete = ({ task, token }: TaskStore.Claim, output = "done") =>
  ({
    _tag: "Complete",
    taskId: task.id,
    token,
    execution: { output, confidence: 1, metadata: {} },
    verified: false
  }) as const satisfies TaskStore.Settlement

/** Collects the log lines of an effect. */
export const logged = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  const messages: Array<string> = []
  const logger = Logger.make(({ message }) => {
    messages.push(String(message))
  })
  yield* Effect.provide(effect, Logger.layer([logger]))
  return messages
})
