import Anthropic, { APIConnectionError, BadRequestError, NotFoundError } from "@anthropic-ai/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { error, reply } from "./server/Answer.ts"
import { control } from "./server/batches.ts"
import * as Server from "./server/server.ts"

const client = (server: Server.ClaudeServer) =>
  new Anthropic({ apiKey: "key", baseURL: server.url, maxRetries: 0, logLevel: "off" })

const ask = (id: string, content = id) => ({
  custom_id: id,
  params: { model: "claude-haiku-5-5", max_tokens: 100, messages: [{ role: "user" as const, content }] }
})

const live = (name: string, test: (server: Server.ClaudeServer) => Promise<void>) =>
  it.live(name, () => Effect.scoped(Effect.flatMap(Server.make(), (server) => Effect.promise(() => test(server)))))

const collect = async <A>(all: AsyncIterable<A>): Promise<ReadonlyArray<A>> => {
  const found: Array<A> = []
  for await (const one of all) found.push(one)
  return found
}

describe("the server's batches, through the official SDK", () => {
  live("report no single results until the whole batch has ended", async (server) => {
    const { batches } = client(server).messages
    await control(server).set({ hold: true })
    server.script(({ body }) => {
      const text = JSON.stringify(body)
      if (text.includes("broken")) return error(500)
      if (text.includes("late")) return { _tag: "Stall" }
      return text.includes("dropped") ? { _tag: "Drop" } : undefined
    })
    const names = ["a", "b", "c", "broken", "late", "dropped"]
    const { id } = await batches.create({ requests: names.map((name) => ask(name)) })
    const under = await batches.retrieve(id)
    assert.strictEqual(under.processing_status, "in_progress")
    assert.deepStrictEqual(under.request_counts, { processing: 6, succeeded: 0, errored: 0, canceled: 0, expired: 0 })
    assert.isNull(under.results_url)
    await control(server).end()
    const ended = await batches.retrieve(id)
    assert.deepStrictEqual(ended.request_counts, { processing: 0, succeeded: 3, errored: 1, canceled: 1, expired: 1 })
    const results = await collect(await batches.results(id))
    assert.sameMembers(
      results.map(({ custom_id }) => custom_id),
      names
    )
    assert.notDeepEqual(
      results.map(({ custom_id }) => custom_id),
      names
    )
    const a = results.find(({ custom_id }) => custom_id === "a")?.result
    assert.strictEqual(a?.type === "succeeded" ? a.message.usage.service_tier : undefined, "batch")
    const broken = results.find(({ custom_id }) => custom_id === "broken")?.result
    assert.strictEqual(broken?.type === "errored" ? broken.error.error.type : undefined, "api_error")
  })

  live("blame a request that is wrong in its result, and an envelope that is wrong at once", async (server) => {
    const { batches } = client(server).messages
    const wrong = { custom_id: "wrong", params: { ...ask("x").params, model: "claude-none" } }
    const { id } = await batches.create({ requests: [wrong, ask("right")] })
    await batches.retrieve(id)
    const results = await collect(await batches.results(id))
    assert.strictEqual(results.find(({ custom_id }) => custom_id === "wrong")?.result.type, "errored")
    for (const requests of [[], [ask("same"), ask("same")], [ask("ü")]]) {
      const refused = await batches.create({ requests }).catch((cause: unknown) => cause)
      assert.instanceOf(refused, BadRequestError)
    }
  })

  live("are listed by the page, the latest first", async (server) => {
    const { batches } = client(server).messages
    await control(server).set({ pageSize: 2 })
    const made: Array<string> = []
    for (const name of ["1", "2", "3", "4", "5"]) made.unshift((await batches.create({ requests: [ask(name)] })).id)
    assert.deepStrictEqual(
      (await collect(batches.list())).map(({ id }) => id),
      made
    )
  })

  live("can be canceled while under way, and deleted when they have ended", async (server) => {
    const { batches } = client(server).messages
    await control(server).set({ hold: true })
    const { id } = await batches.create({ requests: [ask("a")] })
    assert.instanceOf(await batches.delete(id).catch((cause: unknown) => cause), BadRequestError)
    assert.strictEqual((await batches.cancel(id)).processing_status, "canceling")
    await control(server).end()
    assert.strictEqual((await batches.retrieve(id)).request_counts.canceled, 1)
    await batches.delete(id)
    assert.instanceOf(await batches.retrieve(id).catch((cause: unknown) => cause), NotFoundError)
  })

  live("can be created although the response is lost", async (server) => {
    const { batches } = client(server).messages
    server.script(() => reply("done"))
    await control(server).set({ creates: ["lose", "vanish"] })
    for (const name of ["a", "b"]) {
      const broken = await batches.create({ requests: [ask(name)] }).catch((cause: unknown) => cause)
      assert.instanceOf(broken, APIConnectionError)
    }
    assert.deepStrictEqual(
      (await control(server).all()).map(({ customIds }) => customIds),
      [["a"]]
    )
  })

  live("cut off their results when configured to", async (server) => {
    const { batches } = client(server).messages
    const { id } = await batches.create({ requests: ["a", "b", "c", "d"].map((name) => ask(name)) })
    await control(server).set({ cutResults: 1 })
    const broken = await batches
      .results(id)
      .then(collect, (cause: unknown) => cause)
      .catch((cause: unknown) => cause)
    assert.instanceOf(broken, Error)
    assert.lengthOf(await collect(await batches.results(id)), 4)
  })
})
