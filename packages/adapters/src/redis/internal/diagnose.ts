import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import * as Diagnosis from "@baton/core/Diagnosis"
import type { TaskStoreError } from "@baton/core/TaskStoreError"
import * as Diagnosing from "../../internal/diagnosing.ts"
import * as Address from "./address.ts"
import * as Connection from "./connection.ts"
import * as Errors from "./errors.ts"
import * as Encoding from "./encoding.ts"
import { open } from "./lua/reading.ts"

/** Baton is not tested with older versions, and they cannot say in advance which commands a user is allowed. */
const oldestVersion = 7

/** Memory that is used beyond this share of the limit is worth a warning. */
const notableFullness = 0.9

/** Checks the server, its settings, and the store on it. Writes nothing. */
export const diagnose = (
  options: Omit<Connection.Options, "sender">
): Effect.Effect<ReadonlyArray<Diagnosis.Diagnosis>> => {
  const server = Address.show(options.address)
  return Effect.gen(function* () {
    const connection = yield* Connection.make({ ...options, sender: "doctor" })
    const client = yield* connection.another
    const ask = (...command: ReadonlyArray<string>) =>
      connection.ask(client, () => client.sendCommand<Encoding.Reply>(command))
    const info = Connection.parseInfo(yield* Effect.catchIf(ask("INFO"), isDenied, () => Effect.succeed("")))
    const found: Array<Diagnosis.Diagnosis> = [Diagnosis.ok("server", `${server} answers.`)]
    if (info.size === 0) {
      found.push(
        Diagnosis.warn(
          "settings",
          `${server} denies this user the INFO command, so its settings are unknown.`,
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
    // The report contains what the store would log.
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.catch((error) => Effect.succeed([Diagnosing.fromError("server", error)]))
  )
}

/** Some users and some hosted servers are denied these commands. */
const isDenied = ({ cause }: TaskStoreError): boolean => Errors.isReply(cause, "NOPERM") || Errors.isReply(cause, "ERR")

type Info = ReadonlyMap<string, string>

const version = (server: string, info: Info): Diagnosis.Diagnosis => {
  const found = info.get("redis_version") ?? "unknown"
  const [major] = found.split(".")
  return Number(major) >= oldestVersion
    ? Diagnosis.ok("version", `${server} has version ${found}.`)
    : Diagnosis.warn("version", `${server} has version ${found}.`, `Update it to Redis ${oldestVersion} or newer.`)
}

const role = (server: string, info: Info): ReadonlyArray<Diagnosis.Diagnosis> => {
  if (info.get("loading") === "1") return [Diagnosing.fromError("role", Errors.unavailable(Errors.loading(server)))]
  if (info.get("role") === "slave") return [Diagnosing.fromError("role", Errors.unavailable(Errors.readOnly(server)))]
  return []
}

const log = (server: string, info: Info): Diagnosis.Diagnosis => {
  if (info.get("aof_enabled") === "0") {
    return Diagnosis.warn("appendonly", Errors.notPersistent(server), Errors.enableAppendOnly)
  }
  return info.get("aof_last_write_status") === "err"
    ? Diagnosis.fail(
        "appendonly",
        `${server} cannot write its append-only file and refuses writes.`,
        "Free some space on its disk, and read its log."
      )
    : Diagnosis.ok("appendonly", `${server} keeps an append-only file.`)
}

const flush = (server: string, info: Info, reply: Encoding.Reply): ReadonlyArray<Diagnosis.Diagnosis> => {
  if (info.get("aof_enabled") === "0") return []
  const policy: unknown = Array.isArray(reply) ? reply[1] : undefined
  switch (policy) {
    case "always":
      return [Diagnosis.ok("appendfsync", "Every write is flushed to the disk.")]
    case "everysec":
      return [
        Diagnosis.ok("appendfsync", "Writes are flushed every second: a crash of the machine can lose the last second.")
      ]
    case "no":
      return [
        Diagnosis.warn(
          "appendfsync",
          `${server} lets its machine decide when writes are flushed: a crash of the machine can lose the last 30 seconds.`,
          "Set its appendfsync to everysec or always."
        )
      ]
    default:
      // Hosted servers do not show it.
      return []
  }
}

const eviction = (server: string, info: Info): Diagnosis.Diagnosis => {
  const policy = info.get("maxmemory_policy") ?? "unknown"
  return policy.startsWith("allkeys")
    ? Diagnosing.fromError("maxmemory-policy", Errors.unusable(Errors.evicting(server, policy)))
    : Diagnosis.ok("maxmemory-policy", `No task is evicted when the memory is full (${policy}).`)
}

const memory = (server: string, info: Info): ReadonlyArray<Diagnosis.Diagnosis> => {
  const limit = Number(info.get("maxmemory") ?? 0)
  const used = Number(info.get("used_memory") ?? 0)
  if (!(limit > 0) || used / limit < notableFullness) return []
  return [
    Diagnosis.warn(
      "memory",
      `${server} uses ${Math.floor((used / limit) * 100)} % of its memory limit.`,
      "Raise its maxmemory, or prune tasks that have ended."
    )
  ]
}

const clock = Effect.fnUntraced(function* (server: string, time: Effect.Effect<Encoding.Reply, TaskStoreError>) {
  const before = yield* Clock.currentTimeMillis
  const [seconds, micros] = Encoding.array(yield* time).map(Encoding.number)
  const after = yield* Clock.currentTimeMillis
  return Diagnosing.clock(server, (seconds ?? 0) * 1000 + (micros ?? 0) / 1000 - (before + after) / 2)
})

const store = (connection: Connection.Connection, server: string, prefix: string) =>
  Effect.map(
    connection.run(open, [], (reply) => reply),
    (found) =>
      Diagnosis.ok(
        "store",
        found === "former"
          ? `The store "${prefix}" is of an older version of Baton, and is migrated when it is opened.`
          : found === 1
            ? `The store "${prefix}" exists, and this user can use it.`
            : `There is no store "${prefix}" on ${server} yet, and this user can create it.`
      )
  )
