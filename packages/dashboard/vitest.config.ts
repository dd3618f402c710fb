import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    reporters: ["../../scripts/testProgress.ts"],
    // The report of a file names its tests only if one takes longer.
    slowTestThreshold: 10_000,
    // One worker for all files: most time passes in the browser, which one file uses.
    isolate: false,
    maxWorkers: 1,
    testTimeout: 600_000,
    hookTimeout: 600_000
  }
})
