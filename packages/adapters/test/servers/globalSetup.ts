import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestProject } from "vitest/node"
import * as Postgres from "./postgres.ts"
import type { Server } from "./process.ts"
import * as Redis from "./redis.ts"

type Found = Pick<Server, "url" | "remove"> | undefined

/**
 * Finds the servers that the tests need. Without one its tests are skipped, except in CI, where that would hide them. Makes a
 * folder for the programs that tests start.
 */
export default async (project: TestProject) => {
  const [postgres, redis] = await Promise.all([Postgres.find(), Redis.find()])
  insist("PostgreSQL", "BATON_TEST_POSTGRES_URL", postgres)
  insist("Redis", "BATON_TEST_REDIS_URL", redis)
  project.provide("postgresUrl", postgres?.url ?? null)
  project.provide("redisUrl", redis?.url ?? null)
  const programs = mkdtempSync(join(tmpdir(), "baton-test-programs-"))
  project.provide("programs", programs)
  return () => {
    rmSync(programs, { recursive: true, force: true })
    return Promise.all([postgres?.remove(), redis?.remove()])
  }
}

const insist = (name: string, variable: string, found: Found) => {
  if (found !== undefined) return
  const missing = `No ${name} was found: name one in ${variable}, start one on its default port, or install it.`
  if (process.env.CI === "true") throw new Error(missing)
  console.warn(`\n${"!".repeat(80)}\n${missing}\nEVERY TEST THAT NEEDS IT IS SKIPPED.\n${"!".repeat(80)}\n`)
}
