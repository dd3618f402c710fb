import type * as Fiber from "effect/Fiber"
import type { Claim } from "../../TaskStore.ts"
import type { Usage } from "../../Usage.ts"

/** Why work on a task is cut off. */
export type Abort = "execution-timeout" | "verification-timeout" | "lease-lost" | "cancelled" | "paused" | "shutdown"

/** A claim from the moment it is made until its end is durable; the heartbeat keeps the leases of all that are held. */
export interface Held {
  readonly claim: Claim
  readonly claimedAt: number
  phase: "queued" | "waiting" | "working" | "settling"
  /** The fiber that works on it; interrupting it cuts the work off. */
  worker: Fiber.Fiber<unknown, unknown> | undefined
  abort: Abort | undefined
  /** Undefined until Safety allowed it. */
  startedAt: number | undefined
  /** What this attempt used so far, failed tries included. */
  usage: Usage | null
  /** The part of `usage` that went through reservations and is on Safety's books already. */
  reserved: Usage | null
}

export const make = (claim: Claim, claimedAt: number): Held => ({
  claim,
  claimedAt,
  phase: "queued",
  worker: undefined,
  abort: undefined,
  startedAt: undefined,
  usage: null,
  reserved: null
})

/** Cuts off the work on a task. The first reason counts; nothing happens once its end is on the way to the store. */
export const abort = (held: Held, reason: Abort): void => {
  if (held.abort !== undefined || held.phase === "settling") return
  held.abort = reason
  held.worker?.interruptUnsafe()
}
