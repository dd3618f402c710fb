import { RedisClient } from "@redis/client"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Address from "./address.ts"
import type { Reply } from "./encoding.ts"
import * as Errors from "./errors.ts"
import { type Keys, schemaVersion, type Script } from "./lua/prelude.ts"

export interface Options {
  readonly address: Address.Address
  readonly keys: Keys
  readonly prefix: string
  /** Identifies this store in notifications. */
  readonly sender: string
  readonly connectTimeoutMillis: number
  readonly commandTimeoutMillis: number
}

export type Client = ReturnType<typeof makeClient>

/**
 * Made once: `createClient` of the driver makes a class with a method for each command of Redis for each client, which takes
 * tens of milliseconds. The class and its clients need the same version of the protocol.
 */
const createClient = RedisClient.factory({ RESP: 2 })

const makeClient = (address: Address.Address, connectTimeoutMillis: number) => {
  const client = createClient(Address.clientOptions(address, connectTimeoutMillis))
  // A broken connection also fails its commands; an error event without a listener would end the process.
  client.on("error", () => {})
  return client
}

/**
 * A connection that is replaced when the first command after a break comes. A command fails when its connection breaks or
 * the server does not answer in time. It is never queued for later and never sent again, because it may have been carried
 * out.
 */
export interface Connection {
  /** Runs a script and passes its reply to `read`, which throws if it cannot read it. */
  readonly run: <A>(
    script: Script,
    parameters: ReadonlyArray<string>,
    read: (reply: Reply) => A
  ) => Effect.Effect<A, TaskStoreError>
  /** Another connection, until the scope closes. */
  readonly another: Effect.Effect<Client, TaskStoreError, Scope.Scope>
  /** Runs a command of a client within the command timeout; a client that does not answer is closed. */
  readonly ask: <A>(client: Client, command: () => Promise<A>) => Effect.Effect<A, TaskStoreError>
}

export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Connection, never, Scope.Scope> {
  const { address, commandTimeoutMillis, keys, prefix } = options
  /** The node of a cluster that has the store's keys, once another node has named it. */
  let moved: Address.Address | undefined
  let current: Client | undefined
  /** The attempt to connect that is under way; all commands wait for the same one. */
  let attempt: Fiber.Fiber<Client, TaskStoreError> | undefined
  const scope = yield* Effect.scope
  const check = makeCheck(Address.show(address))

  const drop = (client: Client | undefined) => {
    if (client === undefined) return
    if (current === client) current = undefined
    client.destroy()
  }
  yield* Effect.addFinalizer(() => Effect.sync(() => drop(current)))

  const server = () => Address.show(moved ?? address)
  const toError = (cause: unknown) => Errors.fromCause({ server: server(), prefix, database: address.database }, cause)

  const within = <A>(client: Client, millis: number, command: () => Promise<A>) =>
    Effect.timeoutOrElse(Effect.tryPromise({ try: command, catch: toError }), {
      duration: millis,
      orElse: () => {
        drop(client)
        return Effect.fail(Errors.silent(server(), millis / 1000))
      }
    })

  const ask: Connection["ask"] = (client, command) => within(client, commandTimeoutMillis, command)

  const connect = (to: Address.Address): Effect.Effect<Client, TaskStoreError> =>
    Effect.suspend(() => {
      const client = makeClient(to, options.connectTimeoutMillis)
      return within(client, options.connectTimeoutMillis, () => client.connect()).pipe(
        Effect.as(client),
        Effect.onError(() => Effect.sync(() => drop(client)))
      )
    })

  const connectAndCheck = Effect.suspend(() =>
    Effect.flatMap(connect(moved ?? address), (client) =>
      ask(client, () => client.sendCommand<Reply>(["INFO"])).pipe(
        // Some users are denied INFO. They have to know the settings of their server themselves.
        Effect.catchIf(
          (error) => Errors.isReply(error.cause, "NOPERM"),
          () => Effect.succeed("")
        ),
        Effect.flatMap(check),
        Effect.andThen(
          Effect.sync(() => {
            current = client
            return client
          })
        ),
        Effect.onError(() => Effect.sync(() => drop(client)))
      )
    )
  ).pipe(
    Effect.mapError((error) =>
      Errors.isHangUp(error.cause) ? Errors.hungUp(server(), address.tls, error.cause) : error
    ),
    // That node may be gone. The node of the URL knows which one has the keys now.
    Effect.tapError(() =>
      Effect.sync(() => {
        moved = undefined
      })
    )
  )

  const isReady = (client: Client | undefined): client is Client => client?.isReady === true

  const acquire = Effect.suspend(() => {
    if (isReady(current)) return Effect.succeed(current)
    if (attempt !== undefined) return Fiber.join(attempt)
    const ended = Effect.sync(() => {
      attempt = undefined
    })
    return Effect.flatMap(Effect.forkIn(Effect.ensuring(connectAndCheck, ended), scope), (fiber) => {
      attempt = fiber
      return Fiber.join(fiber)
    })
  })

  const evaluate = (client: Client, script: Script, parameters: ReadonlyArray<string>) => {
    const send = (command: "EVAL" | "EVALSHA", program: string) =>
      ask(client, () =>
        client.sendCommand<Reply>([
          command,
          program,
          String(keys.all.length),
          ...keys.all,
          schemaVersion,
          keys.channel,
          options.sender,
          ...parameters
        ])
      )
    return send("EVALSHA", script.hash).pipe(
      // The script did not run, so it can be sent again.
      Effect.catchIf(
        (error) => Errors.isReply(error.cause, "NOSCRIPT"),
        () => send("EVAL", script.text)
      ),
      Effect.tapError(({ cause }) =>
        Effect.sync(() => {
          const next = Address.movedTo(moved ?? address, cause)
          if (next !== undefined) moved = next
          // After a failover, the host name leads to the new primary.
          if (next !== undefined || Errors.isReply(cause, "READONLY")) drop(client)
        })
      )
    )
  }

  return {
    ask,
    another: Effect.acquireRelease(
      Effect.suspend(() => connect(moved ?? address)),
      (client) => Effect.sync(() => drop(client))
    ),
    run: (script, parameters, read) =>
      Effect.flatMap(acquire, (client) => evaluate(client, script, parameters)).pipe(
        Effect.retry({ while: (error) => Errors.isReply(error.cause, "MOVED"), times: 3 }),
        Effect.flatMap((reply) => Effect.try({ try: () => read(reply), catch: toError }))
      )
  }
})

/**
 * Refuses a server that would lose tasks, and warns once of one that keeps them in memory only. It reads `INFO`, which
 * hosted servers answer too, unlike `CONFIG`.
 */
export const makeCheck = (server: string) => {
  let warned = false
  return Effect.fnUntraced(function* (reply: Reply): Effect.fn.Return<void, TaskStoreError> {
    const info = parseInfo(reply)
    // While it loads, the server does not say whether it keeps an append-only file, and answers no other command.
    if (info.get("loading") === "1") return yield* Errors.unavailable(Errors.loading(server))
    const policy = info.get("maxmemory_policy") ?? ""
    // `volatile-*` evicts only keys that expire, and no key of a store does.
    if (policy.startsWith("allkeys")) return yield* Errors.unusable(Errors.evicting(server, policy))
    if (info.get("role") === "slave") return yield* Errors.unavailable(Errors.readOnly(server))
    if (info.get("aof_enabled") !== "0" || warned) return
    warned = true
    yield* Effect.logWarning(`${Errors.notPersistent(server)} ${Errors.enableAppendOnly}`).pipe(
      Effect.annotateLogs({ module: "RedisTaskStore" })
    )
  })
}

/** The fields of a reply to `INFO`; none if the reply is something else. */
export const parseInfo = (reply: Reply): ReadonlyMap<string, string> =>
  new Map(
    (typeof reply === "string" ? reply : "").split("\r\n").flatMap((line): ReadonlyArray<readonly [string, string]> => {
      const colon = line.indexOf(":")
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)]] : []
    })
  )
