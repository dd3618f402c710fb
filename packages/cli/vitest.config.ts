import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["../adapters/test/servers/globalSetup.ts"],
    testTimeout: 30_000,
    hookTimeout: 30_000
  }
})
