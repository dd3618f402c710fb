import { inject } from "vitest"

declare module "vitest" {
  interface ProvidedContext {
    /** The URL of the shared PostgreSQL; null if there is none. */
    readonly postgresUrl: string | null
    /** The URL of the shared Redis; null if there is none. */
    readonly redisUrl: string | null
    /** A folder for bundled programs. */
    readonly programs: string
  }
}

/** The server that `globalSetup.ts` found. */
export const postgresUrl = inject("postgresUrl")

/** The server that `globalSetup.ts` found. */
export const redisUrl = inject("redisUrl")
