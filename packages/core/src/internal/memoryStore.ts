import * as Effect from "effect/Effect"
import type { TaskStore } from "../TaskStore.ts"
export const make: Effect.Effect<TaskStore["Service"]> = Effect.die("building")
