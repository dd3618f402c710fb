import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    reporters: ["../../scripts/testProgress.ts"],
    // The report of a file names its tests only if one takes longer.
    slowTestThreshold: 10_000,
    // Tests undo their changes, so files can share a worker: that takes half the time.
    isolate: false,
    globalSetup: ["test/servers/globalSetup.ts"],
    // More than there are processors: most of the time, tests on real servers wait for a lease to end.
    maxWorkers: 4,
    // Ends a test that hangs. A busy machine takes many times as long as a quiet one.
    testTimeout: 120_000,
    hookTimeout: 120_000
  }
})
