import { createClient } from "@redis/client"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Address from "./address.ts"
import * as Errors from "./errors.ts"
import type { Keys } from "./keys.ts"
import { schemaVersion } from "./lua/prelude.ts"
import type { Reply } from "./replies.ts"
import type { Script } from "./scripts.ts"
import * as Server from "./server.ts"

export interface Options {
  readonly address: Address.Address
  readonly keys: Keys
  readonly prefix: string
  /** Who writes; whoever hears of a write knows whether it was his own. */
  readonly sender: string
  readonly connectTimeoutMillis: number
  readonly commandTimeoutMillis: number
}

export type Client = ReturnType<typeof makeClient>

const makeClient = (address: Address.Address, connectTimeoutMillis: number) => {
  const client = createClient(Address.clientOptions(address, connectTimeoutMillis))
  // What breaks a connection also fails its commands; without a listener it would end the process as well.
  client.on("error", () => {})
  return client
}

/**
 * A connection that breaks is replaced when the next command comes. A command fails when its connection breaks or the
 * server is silent for too long: it is never kept for later and never sent twice, because nobody knows if it was carried
 * out.
 */
export interface Connection {
  /** Runs a script, and hands its reply to `read`, which throws what it cannot read. */
  readonly run: <A>(
    script: Script,
    parameters: ReadonlyArray<string>,
    read: (reply: Reply) => A
  ) => Effect.Effect<A, TaskStoreError>
  /** One more connection, until the scope closes. */
  readonly another: Effect.Effect<Client, TaskStoreError, Scope.Scope>
  /** Lets a client do something within the time that commands have; a client that does not is given up. */
  readonly ask: <A>(client: Client, command: () => Promise<A>) => Effect.Effect<A, TaskStoreError>
}

export const make = Effect.fnUntraced(function* (options: Options): Effect.fn.Return<Connection, never, Scope.Scope> {
  const { address, commandTimeoutMillis, keys, prefix } = options
  /** In a cluster, the node that has the store's keys, as soon as another one has sent us there. */
  let moved: Address.Address | undefined
  let current: Client | undefined
  /** The attempt to connect that is under way: whoever needs a connection meanwhile waits for this one. */
  let attempt: Fiber.Fiber<Client, TaskStoreError> | undefined
  const scope = yield* Effect.scope
  const check = Server.makeCheck(Address.show(address))

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
        // Some users may not ask. What the server is like is then for them to know.
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
    // That node may be gone: the one of the URL knows which one has its keys now.
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
      // It was not run, so it can be sent again.
      Effect.catchIf(
        (error) => Errors.isReply(error.cause, "NOSCRIPT"),
        () => send("EVAL", script.text)
      ),
      Effect.tapError(({ cause }) =>
        Effect.sync(() => {
          const next = Address.movedTo(moved ?? address, cause)
          if (next !== undefined) moved = next
          // Whoever was the primary may not be the one any more: the name has to be looked up again.
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
