/**
 * A task store in a PostgreSQL database: for any number of workers on any number of machines.
 *
 * @since 0.1.0
 */
export * as PostgresTaskStore from "./PostgresTaskStore.ts"
