/** The names of a store's keys. The braces are a hash tag: in a cluster, all keys of a store live on one node. */
export interface Keys {
  /** Every key, in the order in which the scripts name them. */
  readonly all: ReadonlyArray<string>
  readonly meta: string
  /** The channel on which a store's writers tell of what may be of interest to others. */
  readonly channel: string
}

/**
 * - `meta`: schema version, control state, the last `seq`, how many pending tasks wait for others
 * - hashes with a field per task: `tasks` (what changes, as text: see `lua/prelude.ts`), `inputs` (what does not),
 *   `feedback`, `usage`, `checkpoints`
 * - `attempts`: a field per attempt that ended, `<token> <id>`
 * - sorted sets: `ready` in the order of claiming; `delayed` by `availableAt`; `leases` by their end; one per other
 *   status by `seq`; `dependants` and `dependencies`, who waits for whom, both ways
 */
const parts = [
  "meta",
  "tasks",
  "inputs",
  "attempts",
  "feedback",
  "usage",
  "checkpoints",
  "ready",
  "delayed",
  "leases",
  "dependants",
  "dependencies",
  "pending",
  "completed",
  "failed",
  "cancelled"
] as const

export const make = (prefix: string): Keys => {
  const key = (part: string) => `{${prefix}}:${part}`
  return { all: parts.map(key), meta: key("meta"), channel: key("changes") }
}
