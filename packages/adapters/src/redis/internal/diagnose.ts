import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import * as Diagnosis from "@baton/core/Diagnosis"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Diagnosing from "../../internal/diagnosing.ts"
import * as Address from "./address.ts"
import * as Connection from "./connection.ts"
import * as Errors from "./errors.ts"
import * as Replies from "./replies.ts"
import * as Scripts from "./scripts.ts"
import { parseInfo } from "./server.ts"

/** Older ones are not what Baton is tested with, and cannot tell beforehand what a user may do. */
const oldestVersion = 7

/** How full the memory of a server may be before somebody should look at it. */
const notableFullness = 0.9

/** Looks at the server, at what it is set to, and at the store on it. Writes nothing. */
export const diagnose = (
  options: Omit<Connection.Options, "sender">
): Effect.Effect<ReadonlyArray<Diagnosis.Diagnosis>> => {
  const server = Address.show(options.address)
  return Effect.gen(function* () {
    const connection = yield* Connection.make({ ...options, sender: "doctor" })
    const client = yield* connection.another
    const ask = (...command: ReadonlyArray<string>) =>
      connection.ask(client, () => client.sendCommand<Replies.Reply>(command))
    const info = parseInfo(yield* Effect.catchIf(ask("INFO"), isDenied, () => Effect.succeed("")))
    const found: Array<Diagnosis.Diagnosis> = [Diagnosis.ok("server", `${server} answers.`)]
    if (info.size === 0) {
      found.push(
        Diagnosis.warn(
          "settings",
          `${server} does not let this user ask how it is set up (INFO).`,
          "Give the user the right +info, or check appendonly and maxmemory-policy by hand."
        )
      )
    } else {
      found.push(version(server, info), ...role(server, info))
      if (found.some(({ status }) => status === "fail")) return found
      const fsync = yield* Effect.orElseSucceed(ask("CONFIG", "GET", "appendfsync"), () => null)
      found.push(log(server, info), ...flush(server, info, fsync), eviction(server, info), ...memory(server, info))
    }
    found.push(yield* Diagnosing.check("clock", clock(server, ask("TIME"))))
    if (!found.some(({ status }) => status === "fail")) {
      found.push(yield* Diagnosing.check("store", store(connection, server, options.prefix)))
    }
    return found
  }).pipe(
    Effect.scoped,
    // It says itself what the store would warn of.
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.catch((error) => Effect.succeed([Diagnosing.fromError("server", error)]))
  )
}

/** Some users may not ask, and some hosts let nobody. */
const isDenied = ({ cause }: TaskStoreError): boolean => Errors.isReply(cause, "NOPERM") || Errors.isReply(cause, "ERR")

type Info = ReadonlyMap<string, string>

const version = (server: string, info: Info): Diagnosis.Diagnosis => {
  const found = info.get("redis_version") ?? "unknown"
  const [major] = found.split(".")
  return Number(major) >= oldestVersion
    ? Diagnosis.ok("version", `${server} is of version ${found}.`)
    : Diagnosis.warn("version", `${server} is of version ${found}.`, `Update it to Redis ${oldestVersion} or newer.`)
}

const role = (server: string, info: Info): ReadonlyArray<Diagnosis.Diagnosis> => {
  if (info.get("loading") === "1") return [Diagnosing.fromError("role", Errors.unavailable(Errors.loading(server)))]
  if (info.get("role") === "slave") return [Diagnosing.fromError("role", Errors.unavailable(Errors.readOnly(server)))]
  return []
}

const log = (server: string, info: Info): Diagnosis.Diagnosis => {
  if (info.get("aof_enabled") === "0") {
    return Diagnosis.warn(
      "appendonly",
      `${server} keeps no log of its writes: should it crash, tasks and results since its last snapshot are lost.`,
      "Set appendonly to yes there."
    )
  }
  return info.get("aof_last_write_status") === "err"
    ? Diagnosis.fail(
        "appendonly",
        `${server} cannot write its log, and takes no writes.`,
        "Free some space on its disk, and see its log."
      )
    : Diagnosis.ok("appendonly", `${server} keeps a log of its writes.`)
}

const flush = (server: string, info: Info, reply: Replies.Reply): ReadonlyArray<Diagnosis.Diagnosis> => {
  if (info.get("aof_enabled") === "0") return []
  const policy: unknown = Array.isArray(reply) ? reply[1] : undefined
  switch (policy) {
    case "always":
      return [Diagnosis.ok("appendfsync", "Every write is flushed to the disk.")]
    case "everysec":
      return [
        Diagnosis.ok("appendfsync", "Writes are flushed every second: a crash of its machine can undo the last one.")
      ]
    case "no":
      return [
        Diagnosis.warn(
          "appendfsync",
          `${server} leaves it to its machine when writes are flushed: a crash of that can undo the last half minute.`,
          "Set appendfsync to everysec, or to always, there."
        )
      ]
    default:
      // Hosted servers keep it to themselves.
      return []
  }
}

const eviction = (server: string, info: Info): Diagnosis.Diagnosis => {
  const policy = info.get("maxmemory_policy") ?? "unknown"
  return policy.startsWith("allkeys")
    ? Diagnosing.fromError("maxmemory-policy", Errors.unusable(Errors.evicting(server, policy)))
    : Diagnosis.ok("maxmemory-policy", `No task is dropped when the memory is full (${policy}).`)
}

const memory = (server: string, info: Info): ReadonlyArray<Diagnosis.Diagnosis> => {
  const limit = Number(info.get("maxmemory") ?? 0)
  const used = Number(info.get("used_memory") ?? 0)
  if (!(limit > 0) || used / limit < notableFullness) return []
  return [
    Diagnosis.warn(
      "memory",
      `${server} uses ${Math.floor((used / limit) * 100)} % of the memory that it may use.`,
      "Raise its maxmemory, or prune tasks that are done."
    )
  ]
}

const clock = Effect.fnUntraced(function* (server: string, time: Effect.Effect<Replies.Reply, TaskStoreError>) {
  const before = yield* Clock.currentTimeMillis
  const [seconds, micros] = Replies.array(yield* time).map(Replies.number)
  const after = yield* Clock.currentTimeMillis
  return Diagnosing.clock(server, (seconds ?? 0) * 1000 + (micros ?? 0) / 1000 - (before + after) / 2)
})

const store = (connection: Connection.Connection, server: string, prefix: string) =>
  Effect.map(
    connection.run(Scripts.open, [], (reply) => reply === 1),
    (isThere) =>
      Diagnosis.ok(
        "store",
        isThere
          ? `The store "${prefix}" is there, and this user may use it.`
          : `There is no store "${prefix}" on ${server} yet, and this user may make it.`
      )
  )
