import { inject } from "vitest"

declare module "vitest" {
  interface ProvidedContext {
    /** Where the tests' PostgreSQL is; null where none is to be had. */
    readonly postgresUrl: string | null
    /** Where the tests' Redis is; null where none is to be had. */
    readonly redisUrl: string | null
  }
}

/** What `globalSetup.ts` found. */
export const postgresUrl = inject("postgresUrl")

/** What `globalSetup.ts` found. */
export const redisUrl = inject("redisUrl")
