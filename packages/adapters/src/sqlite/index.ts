/**
 * A task store in one SQLite file: the embedded default.
 *
 * @since 0.1.0
 */
export * as SqliteTaskStore from "./SqliteTaskStore.ts"
