import { defineConfig } from "vitest/config"

// The tests start real processes, on machines that may be busy.
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    reporters: ["../scripts/testProgress.ts"],
    // The report of a file names its tests only if one takes longer.
    slowTestThreshold: 10_000,
    // Tests make many short-lived objects. With more room for them, collecting them takes less time.
    execArgv: ["--max-semi-space-size=64"],
    // Tests undo their changes, so files can share a worker.
    isolate: false,
    globalSetup: ["../packages/adapters/test/servers/globalSetup.ts"],
    // Ends a test that hangs. A busy machine takes many times as long as a quiet one.
    testTimeout: 600_000,
    hookTimeout: 600_000
  }
})
