import type { Lease } from "../../TaskStore.ts"

/** Tells leases apart in a Map: a task can be held twice for a moment, when it was cancelled and requeued. */
export const leaseKey = ({ taskId, token }: Lease): string => `${token} ${taskId}`
