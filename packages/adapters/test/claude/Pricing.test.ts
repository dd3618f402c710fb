import { assert, describe, it } from "@effect/vitest"
import { ClaudeClient, type MessageRequest, Pricing } from "@baton/adapters/claude"
import { Usage } from "@baton/core"
import { Exit, Schema } from "effect"
import { deflateSync } from "node:zlib"
import { failure, reply } from "./requests.ts"

const request = (options: Partial<MessageRequest.MessageRequest> = {}): MessageRequest.MessageRequest => ({
  model: "claude-sonnet-5-5",
  max_tokens: 1000,
  messages: [{ role: "user", content: "Say hello" }],
  ...options
})
const billed = (some: Partial<Pricing.Billed>): Pricing.Billed => ({ ...Usage.zero, billing: "standard", ...some })
const cost = (model: string, some: Partial<Pricing.Billed>) => Pricing.costUsd(Pricing.listed, model, billed(some))
const million = 1_000_000

/** The factor for inference in the US, which a workspace can require for all requests. */
const usFactor = 1.1

describe("a request with an image", () => {
  /** The header of an image of this size. */
  const png = (width: number, height: number) => {
    const bytes = Buffer.alloc(33)
    bytes.write("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "latin1")
    bytes.writeUInt32BE(width, 16)
    bytes.writeUInt32BE(height, 20)
    return bytes
  }
  const tokens = (bytes: Buffer, model = "claude-sonnet-5-5", type = "image") =>
    Pricing.fileTokens(
      request({
        model,
        messages: [{ role: "user", content: [{ type, source: { type: "base64", data: bytes.toString("base64") } }] }]
      })
    )

  it("has a token for each 28 x 28 pixels, up to the limit of the model", () => {
    assert.strictEqual(tokens(png(1000, 1000)).expected, 36 * 36)
    assert.strictEqual(tokens(png(1920, 1080)).expected, 2691)
    assert.strictEqual(tokens(png(3840, 2160)).expected, 4784)
    assert.strictEqual(tokens(png(1920, 1080), "claude-haiku-4-5").expected, 1568)
    assert.strictEqual(tokens(png(1920, 1080), "claude-opus-4-7").expected, 2691)
    assert.strictEqual(tokens(png(8000, 100)).expected, 92 * 2)
  })

  it("reserves a little more, and the limit where the size is unknown, whatever the length of its data", () => {
    assert.strictEqual(tokens(png(1000, 1000)).most, Math.ceil(1.05 * 36 * 36) + 20)
    assert.deepStrictEqual(tokens(Buffer.alloc(3_000_000, "A")), { expected: 4784, most: 5044 })
    assert.strictEqual(tokens(png(10, 10), "gpt-x").most, 50_000)
  })

  const pdf = (pages: number) => "<< /Type /Page /Parent 1 0 R >>\n".repeat(pages)
  const compressed = (pages: number) => {
    const stream = deflateSync(pdf(pages))
    const head = Buffer.from(`1 0 obj << /Type /ObjStm /Length ${stream.length} >> stream\n`)
    return Buffer.concat([head, stream, Buffer.from("\nendstream")])
  }

  it("or a PDF counts its pages, with their text and their images", () => {
    const ofPages = (pages: number) => ({ expected: 2350 * pages, most: (3000 + 5044) * pages })
    const scanned = Buffer.concat([Buffer.from(pdf(3)), Buffer.alloc(5_000_000)])
    for (const bytes of [Buffer.from(pdf(3)), compressed(3), scanned]) {
      assert.deepStrictEqual(tokens(bytes, "claude-sonnet-5-5", "document"), ofPages(3))
    }
    const unreadable = Buffer.alloc(30_000, "x")
    assert.deepStrictEqual(tokens(unreadable, "claude-sonnet-5-5", "document"), ofPages(10))
  })
})

describe("a request with tools of the API", () => {
  const tools = [{ type: "web_search_20260318", name: "web_search", max_uses: 5 }]
  const code = [{ type: "code_execution_20250825", name: "code_execution" }]
  const worst = (options: Partial<MessageRequest.MessageRequest>, billing: "standard" | "batch" = "standard") =>
    Pricing.worstCase(Pricing.listed, request(options), billing)

  it("costs $0.01 for each search besides its tokens, in a batch too", () => {
    assert.approximately(cost("claude-sonnet-5-5", { inputTokens: million, webSearches: 3 }) ?? 0, 2.03, 1e-9)
    assert.approximately(
      cost("claude-sonnet-5-5", { inputTokens: million, webSearches: 3, billing: "batch", inferenceGeo: "us" }) ?? 0,
      1.13,
      1e-9
    )
  })

  it("costs five minutes of a sandbox where code runs", () => {
    assert.approximately(cost("claude-sonnet-5-5", { inputTokens: million, codeRuns: 2 }) ?? 0, 2 + 0.05 / 12, 1e-6)
  })

  it("reserves the price of all searches, and tokens for their results", () => {
    const [plain, searching] = [worst({}), worst({ tools })]
    assert.isAtLeast(searching.tokens - plain.tokens, 100_000)
    assert.isAtLeast((searching.costUsd ?? 0) - (plain.costUsd ?? 0), 0.05 + 0.2)
    assert.isAtLeast(worst({ tools }, "batch").costUsd ?? 0, 0.05 + 0.1)
    assert.isAtLeast((worst({ tools: code }).costUsd ?? 0) - (plain.costUsd ?? 0), 0.05 / 12)
  })

  it("has the prices of a table of one's own", () => {
    const own = Pricing.merge(Pricing.listed, { models: {}, tools: { webSearch: 0.02, codeExecution: 0 } })
    assert.approximately(
      Pricing.costUsd(own, "claude-sonnet-5-5", billed({ inputTokens: million, webSearches: 1 })) ?? 0,
      2.02,
      1e-9
    )
  })

  it("reaches the higher rates of a model by the results of its searches", () => {
    const bound = { fixed: 0, messages: 20_000 }
    const searching = request({ model: "claude-haiku-5-5", tools, max_tokens: 0 })
    const { costUsd } = Pricing.worstCase(Pricing.listed, searching, "standard", bound)
    assert.isAtLeast(costUsd ?? 0, 0.05 + (20_000 * 0.5 + 100_000 * 0.625) / million)
  })
})

describe("the price list", () => {
  it("has the day on which it was checked", () => {
    assert.match(Pricing.listed.date, /^\d{4}-\d{2}-\d{2}$/)
  })

  it("follows the provider's ratios between the kinds of tokens, which reveals a typing error", () => {
    for (const [model, { above, cacheMinimum: _, date: __, ...price }] of Object.entries(Pricing.listed.models)) {
      for (const rate of above === undefined ? [price] : [price, above]) {
        assert.strictEqual(rate.output, rate.input * 5, model)
        assert.strictEqual(rate.cacheWrite5m, rate.input * 1.25, model)
        assert.strictEqual(rate.cacheWrite1h, rate.input * 2, model)
        assert.isAtMost(rate.cacheRead, rate.input / 10, model)
        assert.isAbove(rate.cacheRead, 0, model)
      }
    }
  })

  it("has every model that the API lists", () => {
    for (const model of ["fable-5", "fable-5-1", "fable-5-2", "mythos-5", "mythos-5-1", "mythos-5-2"]) {
      assert.isDefined(Pricing.priceOf(Pricing.listed, `claude-${model}`), model)
    }
    assert.strictEqual(cost("claude-fable-5", { inputTokens: million, cacheReadTokens: million }), 11)
    assert.strictEqual(cost("claude-mythos-5-1", { inputTokens: million, cacheReadTokens: million }), 10.25)
  })

  it("has the shortest prompt that each model caches, and a default for an unknown model", () => {
    const minimum = (model: string) => Pricing.cacheMinimum(Pricing.listed, model)
    assert.strictEqual(minimum("claude-haiku-5-5"), 512)
    assert.strictEqual(minimum("claude-sonnet-5"), 1024)
    assert.strictEqual(minimum("claude-opus-4-7"), 2048)
    assert.strictEqual(minimum("claude-haiku-4-5-20251001"), 4096)
    assert.strictEqual(minimum("my-model"), 1024)
    const own = Pricing.merge(Pricing.listed, { models: { "claude-haiku-4-5": { input: 2, output: 4 } } })
    assert.strictEqual(Pricing.cacheMinimum(own, "claude-haiku-4-5"), 4096)
  })

  it("finds a model by its id with a date, and nothing for an unknown model", () => {
    assert.isDefined(Pricing.priceOf(Pricing.listed, "claude-haiku-4-5-20251001"))
    for (const unknown of ["claude-mythos-preview", "gpt", "toString", ""]) {
      assert.isUndefined(Pricing.priceOf(Pricing.listed, unknown))
      assert.isNull(cost(unknown, { outputTokens: 1 }))
    }
  })
})

describe("costUsd", () => {
  it("adds up the kinds of tokens at their prices", () => {
    const each = {
      inputTokens: million,
      outputTokens: million,
      cacheReadTokens: million,
      cacheWriteTokens: 2 * million,
      cacheWrite1hTokens: million
    }
    assert.strictEqual(cost("claude-sonnet-5-5", each), 2 + 10 + 0.1 + 2.5 + 4)
    assert.strictEqual(cost("claude-opus-5-5", { inputTokens: million, outputTokens: million }), 24)
    assert.strictEqual(cost("claude-fable-5-2", { cacheReadTokens: million }), 0.2)
  })

  it("uses the higher rates for all tokens of a request whose whole prompt exceeds the threshold", () => {
    assert.strictEqual(cost("claude-haiku-5-5", { inputTokens: 100_000, outputTokens: million }), 0.01 + 0.5)
    assert.strictEqual(
      cost("claude-haiku-5-5", { inputTokens: 1, cacheReadTokens: 100_000, outputTokens: million }),
      0.0000005 + 0.005 + 2.5
    )
  })

  it("is half in a batch", () => {
    assert.strictEqual(cost("claude-sonnet-5-5", { outputTokens: million, billing: "batch" }), 5)
  })

  it("is a tenth more where the API reports that it ran in the US", () => {
    const all = { inputTokens: million, outputTokens: million, cacheReadTokens: million, cacheWriteTokens: million }
    const elsewhere = cost("claude-sonnet-5-5", all) ?? 0
    assert.approximately(cost("claude-sonnet-5-5", { ...all, inferenceGeo: "us" }) ?? 0, 1.1 * elsewhere, 1e-9)
    for (const inferenceGeo of ["global", "not_available", null]) {
      assert.strictEqual(cost("claude-sonnet-5-5", { ...all, inferenceGeo }), elsewhere)
    }
  })

  it("is zero for no tokens, whatever the model: a cached answer has no unknown cost", () => {
    assert.strictEqual(cost("unknown-model", {}), 0)
  })
})

describe("usageOf", () => {
  const error = (usage: Usage.Usage | undefined) => Exit.fail(failure({ usage }))

  it("is the usage of the reply or the error, and unknown for a request that was cut off", () => {
    const usage = { ...Usage.zero, outputTokens: 5, costUsd: 10 }
    assert.deepStrictEqual(ClaudeClient.usageOf(Exit.succeed(reply("x", { usage }))), usage)
    assert.isUndefined(ClaudeClient.usageOf(Exit.succeed(reply("x", { usage: undefined }))))
    assert.deepStrictEqual(ClaudeClient.usageOf(error(Usage.zero)), Usage.zero)
    assert.isUndefined(ClaudeClient.usageOf(error(undefined)))
    assert.isUndefined(ClaudeClient.usageOf(Exit.interrupt()))
  })
})

describe("merge", () => {
  it("replaces prices of the list; the defaults follow from the price of input", () => {
    const table = Pricing.merge(Pricing.listed, {
      models: {
        "my-model": { input: 4, output: 8 },
        "claude-sonnet-5-5": { input: 1, output: 2, cacheRead: 0, cacheWrite5m: 0, cacheWrite1h: 0 }
      }
    })
    assert.deepStrictEqual(Pricing.priceOf(table, "my-model"), {
      input: 4,
      output: 8,
      cacheRead: 4,
      cacheWrite5m: 5,
      cacheWrite1h: 8
    })
    assert.strictEqual(Pricing.priceOf(table, "claude-sonnet-5-5")?.cacheWrite1h, 0)
    assert.deepStrictEqual(table.models["claude-opus-5-5"], Pricing.listed.models["claude-opus-5-5"])
    assert.deepStrictEqual(Pricing.merge(table, Pricing.listed).models["my-model"], table.models["my-model"])
  })
})

describe("inputBound", () => {
  const bound = (request: MessageRequest.MessageRequest) => {
    const { fixed, messages } = Pricing.inputBound(request)
    return fixed + messages
  }

  const atLeast = (text: string, least: number) =>
    assert.isAtLeast(bound(request({ messages: [{ role: "user", content: text }] })), least)

  it("has a token for every byte, in every script and after normalization", () => {
    atLeast("a".repeat(5000), 5000)
    atLeast("汉".repeat(5000), 15_000)
    atLeast("👩‍🚀".repeat(1000), 11_000)
    atLeast("\uFDFA".repeat(1000), 33_000)
  })

  it("counts the whole request: system, schema, and turns that are sent back", () => {
    const plain = bound(request())
    const text = "x".repeat(2000)
    const more: ReadonlyArray<Partial<MessageRequest.MessageRequest>> = [
      { system: [{ type: "text", text }] },
      { output_config: { format: { type: "json_schema", schema: { type: "object", description: text } } } },
      { messages: [{ role: "assistant", content: [{ type: "thinking", thinking: "", signature: text }] }] }
    ]
    for (const options of more) assert.isAtLeast(bound(request(options)), plain + 1950)
  })

  it("is below twice the bytes of a text", () => {
    const text = "The quick brown fox jumps over the lazy dog. ".repeat(200)
    assert.isAtMost(bound(request({ messages: [{ role: "user", content: text }] })), 2 * text.length)
  })
})

describe("worstCase", () => {
  it("is unknown for an unknown model, but has its tokens", () => {
    const spend = Pricing.worstCase(Pricing.listed, request({ model: "x" }), "standard")
    assert.strictEqual(spend.costUsd, null)
    assert.isAbove(spend.tokens, 1000)
    assert.strictEqual(spend.what, "x")
  })

  it("includes cache writes only where a block is marked for the cache", () => {
    const marked = (cache_control: { readonly type: "ephemeral"; readonly ttl?: "5m" | "1h" }) =>
      request({ system: [{ type: "text", text: "", cache_control }] })
    const input = (of: MessageRequest.MessageRequest) =>
      (Pricing.worstCase(Pricing.listed, { ...of, max_tokens: 0 }, "standard", { fixed: million, messages: 0 })
        .costUsd ?? 0) / usFactor
    assert.approximately(input(request()), 2, 1e-9)
    assert.approximately(input(marked({ type: "ephemeral" })), 2.5, 1e-9)
    assert.approximately(input(marked({ type: "ephemeral", ttl: "5m" })), 2.5, 1e-9)
    assert.approximately(input(marked({ type: "ephemeral", ttl: "1h" })), 4, 1e-9)
    const turn = { type: "text", text: "x", cache_control: { type: "ephemeral", ttl: "1h" } }
    assert.approximately(input(request({ messages: [{ role: "user", content: [turn] }] })), 4, 1e-9)
  })

  const Split = Schema.Struct({
    model: Schema.Literals(["claude-haiku-5-5", "claude-sonnet-5-5", "claude-fable-5-2", "cheaper-above"]),
    bound: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 300_000 })),
    maxTokens: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 128_000 })),
    /** The share of the bound, and of the rest, that each kind takes, in percent. */
    parts: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 }))).check(
      Schema.isMinLength(5),
      Schema.isMaxLength(5)
    ),
    billing: Schema.Literals(["standard", "batch"]),
    marked: Schema.NullOr(Schema.Literals(["5m", "1h"])),
    inferenceGeo: Schema.Literals(["us", "global"]),
    /** The fixed part of the bound, in percent. */
    fixed: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 }))
  })
  const free = { input: 1, output: 1, cacheRead: 1, cacheWrite5m: 1, cacheWrite1h: 1 }
  const table = Pricing.merge(Pricing.listed, {
    models: {
      "cheaper-above": { input: 2, output: 9, above: { promptTokens: 100_000, ...free } }
    }
  })

  it.prop(
    "no split of the tokens between the kinds costs more",
    [Split],
    ([{ billing, bound, fixed: share, inferenceGeo, marked, maxTokens, model, parts }]) => {
      let left = bound
      const take = (index: number) => {
        const taken = Math.floor((left * (parts[index] ?? 0)) / 100)
        left -= taken
        return taken
      }
      const fixed = Math.floor((bound * share) / 100)
      const written = marked === null ? 0 : Math.min(fixed, take(2))
      const real = billed({
        billing,
        inferenceGeo,
        inputTokens: take(0),
        cacheReadTokens: take(1),
        cacheWriteTokens: written,
        cacheWrite1hTokens: marked === "1h" ? written : 0,
        outputTokens: Math.floor((maxTokens * (parts[4] ?? 0)) / 100)
      })
      const sent = request({
        model,
        max_tokens: maxTokens,
        ...(marked === null
          ? undefined
          : { system: [{ type: "text", text: "", cache_control: { type: "ephemeral", ttl: marked } }] })
      })
      const worst = Pricing.worstCase(table, sent, billing, { fixed, messages: bound - fixed })
      assert.isAtMost(Pricing.costUsd(table, model, real) ?? Infinity, (worst.costUsd ?? 0) + 1e-12)
      assert.isAtMost(Usage.totalTokens({ ...real, costUsd: 0 }), worst.tokens)
    },
    { arbitrary: { runs: 500 } }
  )
})
