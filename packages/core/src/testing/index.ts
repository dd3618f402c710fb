/**
 * What tests of your own stores and services need. It loads no test runner: yours is passed in.
 *
 * @since 0.1.0
 */
export * as TaskStoreSuite from "./TaskStoreSuite.ts"
