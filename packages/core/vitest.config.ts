import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Tests undo their changes, so files can share a worker: that takes half the time.
    isolate: false,
    // Ends a test that hangs. A busy machine takes many times as long as a quiet one.
    testTimeout: 120_000,
    hookTimeout: 120_000
  }
})
