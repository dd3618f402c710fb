import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Tests restore what they change, so files can share a worker: that takes half the time.
    isolate: false,
    globalSetup: ["../adapters/test/servers/globalSetup.ts"],
    testTimeout: 30_000,
    hookTimeout: 30_000
  }
})
