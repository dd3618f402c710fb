import { assert, describe, it } from "@effect/vitest"
import { formatOf } from "../../src/hooks/notify.ts"

describe("the format of a notification", () => {
  it("follows from the host of the URL", () => {
    const formats = [
      ["https://hooks.slack.com/services/T0/B0/x", "slack"],
      ["https://hooks.slack-gov.com/services/T0/B0/x", "slack"],
      ["https://discord.com/api/webhooks/1/x", "discord"],
      ["https://ptb.discord.com/api/webhooks/1/x", "discord"],
      ["https://discordapp.com/api/webhooks/1/x", "discord"],
      ["https://notslack.com/", "json"],
      ["https://slack.com.example.org/", "json"]
    ] as const
    for (const [url, format] of formats) assert.strictEqual(formatOf(new URL(url)), format, url)
  })
})
