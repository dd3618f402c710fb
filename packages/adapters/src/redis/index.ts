/**
 * A task store in Redis, for any number of workers.
 *
 * @since 0.1.0
 */
export * as RedisTaskStore from "./RedisTaskStore.ts"
