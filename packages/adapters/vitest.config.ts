import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/servers/globalSetup.ts"],
    // More than there are processors: most of the time, tests on real servers wait for a lease to end.
    maxWorkers: 4,
    testTimeout: 30_000,
    hookTimeout: 30_000
  }
})
