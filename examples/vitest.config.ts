import { defineConfig } from "vitest/config"

// The tests start real processes, on machines that may be busy.
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["../packages/adapters/test/servers/globalSetup.ts"],
    testTimeout: 60_000
  }
})
