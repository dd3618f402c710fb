/**
 * A task store in one JSON file, in the format of the orchestrator lab.
 *
 * @since 0.1.0
 */
export * as JsonTaskStore from "./JsonTaskStore.ts"
