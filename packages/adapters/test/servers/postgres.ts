import * as PgClient from "@effect/sql-pg/PgClient"
import { Effect, Redacted, type Scope } from "effect"
import { execFileSync } from "node:child_process"
import { existsSync, renameSync, rmSync } from "node:fs"
import { tmpdir, userInfo } from "node:os"
import { dirname, join } from "node:path"
import { findProgram, freePort, makeFolder, serve, type Server, unprivilegedUser, type User } from "./process.ts"

/** Whether tests can use this server: it answers, and the user can create schemas. */
const answers = (url: string): Promise<boolean> =>
  PgClient.PgClient.use((sql) =>
    sql.unsafe<{ readonly can: boolean }>("SELECT has_database_privilege(current_database(), 'CREATE') AS can")
  ).pipe(
    Effect.map(([row]) => row?.can === true),
    Effect.provide(PgClient.layer({ url: Redacted.make(url), connectTimeout: "1 minute" })),
    Effect.orElseSucceed(() => false),
    Effect.runPromise
  )

/** Users that the server on the default port may accept without a password. */
const defaultUrls = (): ReadonlyArray<string> => {
  const { PGDATABASE, PGPASSWORD, PGUSER } = process.env
  const users = PGUSER === undefined ? [userInfo().username, "postgres"] : [PGUSER]
  return users.flatMap((user) => {
    const login = PGPASSWORD === undefined ? user : `${user}:${encodeURIComponent(PGPASSWORD)}`
    const databases = PGDATABASE === undefined ? ["test", user] : [PGDATABASE]
    return databases.map((database) => `postgres://${login}@127.0.0.1:5432/${database}`)
  })
}

/** The shared server: the configured one, the running one, or one that is started for the tests. */
export const find = async (): Promise<Pick<Server, "url" | "remove"> | undefined> => {
  const remove = async () => {}
  const named = process.env.BATON_TEST_POSTGRES_URL
  if (named !== undefined && named !== "") {
    if (await answers(named)) return { url: named, remove }
    throw new Error("BATON_TEST_POSTGRES_URL names a PostgreSQL that does not answer, or where no schema can be made.")
  }
  for (const url of defaultUrls()) {
    // Sequentially, because the first one that answers is used.
    if (await answers(url)) return { url, remove }
  }
  return isInstalled() ? start() : undefined
}

/** Whether `start` can start a server. */
export const isInstalled = (): boolean => findProgram("initdb") !== undefined

/** Settings that make a server with disposable data faster. */
const settings = { fsync: "off", full_page_writes: "off", max_connections: "200", lc_messages: "C" }

/** An empty database cluster, which is made once on a machine and copied: `initdb` takes a second of a processor. */
const emptyCluster = (initdb: string, user: User | undefined): string => {
  const [version = ""] = /[\d.]+/.exec(execFileSync(initdb, ["--version"], { encoding: "utf8" })) ?? []
  const kept = join(tmpdir(), `baton-test-cluster-${version}-${user?.uid ?? userInfo().uid}`)
  const isComplete = () => existsSync(join(kept, "PG_VERSION"))
  if (isComplete()) return kept
  const folder = makeFolder("cluster", user)
  const data = join(folder, "data")
  execFileSync(initdb, ["-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"], {
    cwd: folder,
    stdio: ["ignore", "ignore", "pipe"],
    ...user
  })
  try {
    renameSync(data, kept)
  } catch (error) {
    // Another process may have been faster.
    if (!isComplete()) throw error
  }
  rmSync(folder, { recursive: true, force: true })
  return kept
}

/** Starts a private PostgreSQL, for tests that stop it or fill it. */
export const start = async (more: Readonly<Record<string, string>> = {}): Promise<Server> => {
  const initdb = findProgram("initdb")
  if (initdb === undefined) throw new Error("No initdb was found: install PostgreSQL.")
  const user = unprivilegedUser("postgres", "nobody")
  const folder = makeFolder("postgres", user)
  const data = join(folder, "data")
  execFileSync("cp", ["-R", emptyCluster(initdb, user), data], { stdio: ["ignore", "ignore", "pipe"], ...user })
  const port = await freePort()
  const given = { ...settings, listen_addresses: "127.0.0.1", unix_socket_directories: folder, ...more }
  return serve(
    {
      command: join(dirname(initdb), "postgres"),
      args: [
        "-D",
        data,
        "-p",
        String(port),
        ...Object.entries(given).flatMap(([name, value]) => ["-c", `${name}=${value}`])
      ],
      user,
      folder,
      ready: /ready to accept connections/,
      signals: { stop: "SIGINT", crash: "SIGQUIT" }
    },
    `postgres://postgres@127.0.0.1:${port}/postgres`,
    port
  )
}

/** A private PostgreSQL, which ends with the test. */
export const temporary = (more?: Readonly<Record<string, string>>): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(() => start(more)),
    (server) => Effect.promise(() => server.remove())
  )
