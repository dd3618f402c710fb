import { Task } from "@baton/core"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { networkInterfaces } from "node:os"
import { isLoopback, isOwnHost, isOwnOrigin } from "../../src/http/internal/hosts.ts"
import { request } from "./request.ts"
import * as Server from "./server.ts"

const none = new Set<string>()

describe("the names of a server", () => {
  it("are localhost, addresses, and those that it was given", () => {
    const own = ["localhost", "localhost:7777", "a.localhost", "127.0.0.1:80", "[::1]:7777", "192.0.2.7", "Baton:7777"]
    for (const host of own) assert.isTrue(isOwnHost(host, new Set(["baton"])), host)
    const foreign = [
      undefined,
      "",
      "evil.example",
      "localhost.evil.example",
      "127.0.0.1.evil.example",
      "a@localhost",
      "x/y"
    ]
    for (const host of foreign) assert.isFalse(isOwnHost(host, none), host)
  })

  it("are the origins of its pages", () => {
    assert.isTrue(isOwnOrigin("http://localhost:7777", "localhost:7777", none))
    assert.isTrue(isOwnOrigin("https://baton.example", "127.0.0.1:7777", new Set(["baton.example"])))
    const foreign = [
      "null",
      "",
      "http://localhost:8888",
      "http://evil.example",
      "file://",
      "https://localhost:7777.evil.example"
    ]
    for (const origin of foreign) assert.isFalse(isOwnOrigin(origin, "localhost:7777", none), origin)
  })

  it("tell loopback addresses from those of a network", () => {
    for (const address of ["127.0.0.1", "127.8.0.1", "::1", "::ffff:127.0.0.1"])
      assert.isTrue(isLoopback(address), address)
    for (const address of ["10.0.0.1", "::", "::ffff:10.0.0.1", "fe80::1", "127.evil"]) {
      assert.isFalse(isLoopback(address), address)
    }
  })
})

layer(Server.layer({ hosts: ["baton.example"] }))("pages of other sites", (it) => {
  const cases = [
    ["a name that another DNS server points here", { host: "evil.example" }, 403],
    ["the server's own name", { host: "baton.example" }, 200],
    ["a page of another site", { origin: "https://evil.example" }, 403],
    ["a page without an origin", { origin: "null" }, 403],
    ["an image or a script of another site", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" }, 403],
    ["a link on another site", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }, 200]
  ] as const
  for (const [name, headers, status] of cases) {
    it.effect(`${status === 200 ? "answers" : "refuses"} ${name}`, () =>
      Effect.gen(function* () {
        const { url } = yield* Server.Served
        assert.strictEqual((yield* request(`${url}/api/queues`, { headers })).status, status)
      })
    )
  }

  it.effect("change nothing, also without a preflight request", () =>
    Effect.gen(function* () {
      const { store, url } = yield* Server.Served
      yield* Server.add(store, "safe", ["safe/1"])
      const { status } = yield* request(`${url}/api/cancel`, {
        method: "POST",
        headers: { origin: "https://evil.example", "content-type": "text/plain" },
        body: { ids: ["safe/1"] }
      })
      assert.strictEqual(status, 403)
      assert.strictEqual((yield* store.counts).pending, 1)
    })
  )

  it.effect("receive no permission to read an answer", () =>
    Effect.gen(function* () {
      const { url } = yield* Server.Served
      const { headers } = yield* request(`${url}/api/queues`)
      assert.isUndefined(headers["access-control-allow-origin"])
      assert.isUndefined(headers["set-cookie"])
    })
  )
})

layer(Server.layer())("outputs", (it) => {
  it.effect("are text that no browser takes for markup", () =>
    Effect.gen(function* () {
      const { store, url } = yield* Server.Served
      const output = "<script>alert(1)</script>"
      yield* Server.add(store, "markup", ["markup/1"])
      yield* Server.complete(store, "markup", { limit: 1, output })
      const { body, headers } = yield* request(`${url}/api/tasks/markup%2F1/output`)
      assert.strictEqual(body, output)
      assert.strictEqual(headers["content-type"], "text/plain; charset=utf-8")
      assert.strictEqual(headers["x-content-type-options"], "nosniff")
      const policy = String(headers["content-security-policy"])
      for (const part of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"])
        assert.include(policy, part)
      assert.notInclude(policy, "unsafe")
    })
  )
})

const token = "a-token-of-30-characters-abcde"

layer(Server.layer({ tokens: [{ token: Redacted.make(token) }] }))("a server with a token", (it) => {
  it.effect("answers requests with the token, and no others", () =>
    Effect.gen(function* () {
      const { url } = yield* Server.Served
      const cases = [
        [{}, 401],
        [{ authorization: "Bearer wrong" }, 401],
        [{ authorization: `Bearer ${token}x` }, 401],
        [{ authorization: `Basic ${token}` }, 401],
        [{ cookie: `token=${token}` }, 401],
        [{ authorization: `Bearer ${token}` }, 200]
      ] as const
      for (const [headers, status] of cases) {
        for (const path of ["/api/queues", "//api/queues", "/api/tasks?text=x", "/api/failures"]) {
          const found = yield* request(url + path, { headers })
          assert.strictEqual(found.status, status, `${path} ${JSON.stringify(headers)}`)
          if (status === 401) assert.strictEqual(found.headers["www-authenticate"], "Bearer")
        }
      }
      assert.strictEqual((yield* request(`${url}/api/events`)).status, 401)
      assert.strictEqual(
        (yield* request(`${url}/api/control`, { method: "POST", body: { request: "stop" } })).status,
        401
      )
    })
  )
})

const roles = ["view", "review", "operate"] as const
const tokenOf = (role: string) => `the-token-of-the-role-${role}`

layer(Server.layer({ tokens: roles.map((role) => ({ role, token: Redacted.make(tokenOf(role)) })) }))(
  "a server with a token per role",
  (it) => {
    const add = { tasks: [Task.makeNew({ id: "new", description: "new" })] }
    const requests = [
      ["view", "GET", "/api/queues", undefined],
      ["view", "GET", "/api/report?queue=a", undefined],
      ["view", "GET", "/api/tasks", undefined],
      ["view", "GET", "/api/failures", undefined],
      ["view", "GET", "/api/settings?queue=any", undefined],
      ["review", "POST", "/api/reviews", { id: "missing", decision: "approve" }],
      ["operate", "POST", "/api/tasks", add],
      ["operate", "POST", "/api/requeue", { ids: ["missing"] }],
      ["operate", "POST", "/api/cancel", { ids: ["missing"] }],
      ["operate", "POST", "/api/settings", { queue: "any", maxCostUsd: 1 }],
      ["operate", "POST", "/api/control", { request: "resume" }]
    ] as const
    const levels = { view: 0, review: 1, operate: 2 }
    for (const role of roles) {
      it.effect(`answers the requests of the role ${role}, and refuses others with a sentence`, () =>
        Effect.gen(function* () {
          const { store, url } = yield* Server.Served
          const before = yield* store.counts
          const headers = { authorization: `Bearer ${tokenOf(role)}` }
          for (const [needed, method, path, body] of requests) {
            const found = yield* request(url + path, { method, headers, body })
            if (levels[role] >= levels[needed]) {
              assert.notInclude([401, 403], found.status, `${role} ${path}`)
            } else {
              assert.strictEqual(found.status, 403, `${role} ${path}`)
              assert.deepStrictEqual(JSON.parse(found.body), {
                _tag: "NotAllowed",
                message: `This requires a token with the role ${needed}. The role of yours is ${role}.`
              })
            }
          }
          if (role !== "operate") assert.deepStrictEqual(yield* store.counts, before)
          const { body } = yield* request(`${url}/api/queues`, { headers })
          assert.deepInclude(JSON.parse(body), { server: { readOnly: false, role } })
        })
      )
    }

    it.effect("accepts no other token", () =>
      Effect.gen(function* () {
        const { url } = yield* Server.Served
        for (const token of ["", "view", `${tokenOf("view")}x`, tokenOf("view").slice(0, -1)]) {
          const found = yield* request(`${url}/api/queues`, { headers: { authorization: `Bearer ${token}` } })
          assert.strictEqual(found.status, 401, token)
          assert.match(JSON.parse(found.body).message, /^This server (?:requires a token|does not know the token)/)
        }
      })
    )
  }
)

const address = Object.values(networkInterfaces())
  .flat()
  .find((each) => each?.family === "IPv4" && !each.internal)?.address

layer(Server.layer({ listen: "0.0.0.0" }))("a server without a token", (it) => {
  it.effect.skipIf(address === undefined)("answers only its own machine, whatever it listens on", () =>
    Effect.gen(function* () {
      const { port } = new URL((yield* Server.Served).url)
      assert.strictEqual((yield* request(`http://127.0.0.1:${port}/api/queues`)).status, 200)
      const { body, status } = yield* request(`http://${address}:${port}/api/queues`)
      assert.strictEqual(status, 401)
      assert.include(body, "has no token")
    })
  )
})

layer(Server.layer({ readOnly: true }))("a read-only server", (it) => {
  it.effect("refuses every change, and says so", () =>
    Effect.gen(function* () {
      const { client, store, url } = yield* Server.Served
      yield* Server.add(store, "kept", ["kept/1"])
      const changes = [
        ["/api/tasks", { tasks: [Task.makeNew({ id: "new", description: "new" })] }],
        ["/api/requeue", { ids: ["kept/1"] }],
        ["/api/cancel", { ids: ["kept/1"] }],
        ["/api/settings", { queue: "kept", maxCostUsd: 1_000, paused: true }],
        ["/api/control", { request: "pause" }]
      ] as const
      for (const [path, body] of changes) {
        const found = yield* request(url + path, { method: "POST", body })
        assert.strictEqual(found.status, 403, path)
        assert.include(found.body, "read-only")
      }
      assert.deepInclude(yield* store.counts, { pending: 1, cancelled: 0 })
      assert.isFalse((yield* store.control).paused)
      assert.deepStrictEqual(yield* client.settings({ query: { queue: "kept" } }), {
        queue: "kept",
        canSet: { budget: true, pause: true, concurrency: true }
      })
      assert.deepStrictEqual((yield* client.queues()).server, { readOnly: true, role: "view" })
    })
  )
})

const named = [
  { role: "review", name: "ann", token: Redacted.make("the-token-of-ann") },
  { role: "operate", token: Redacted.make("the-token-of-nobody") }
] as const

layer(Server.layer({ tokens: named }))("a token with a name", (it) => {
  it.effect("decides in its own name alone", () =>
    Effect.gen(function* () {
      const { store, url } = yield* Server.Served
      yield* Server.add(store, "named", ["named/1", "named/2"])
      yield* Server.sendToReview(store, "named", { limit: 2, output: "a draft" })
      const post = (token: string, path: string, body: object) =>
        request(`${url}/api/${path}`, { method: "POST", headers: { authorization: `Bearer ${token}` }, body })
      const approve = { id: "named/1", decision: "approve" }
      const other = yield* post("the-token-of-ann", "reviews", { ...approve, by: "bob" })
      assert.strictEqual(other.status, 403)
      assert.include(JSON.parse(other.body).message, 'This token is that of "ann": it cannot decide as "bob".')
      assert.strictEqual((yield* store.counts).in_review, 2)
      assert.strictEqual((yield* post("the-token-of-ann", "reviews", approve)).status, 200)
      const [attempt] = yield* store.attempts("named/1")
      assert.strictEqual(attempt?.verification?.decision?.by, "ann")
      const finding = { id: "named/1", attempt: attempt?.token, agrees: true, by: "bob" }
      assert.strictEqual((yield* post("the-token-of-ann", "audit", finding)).status, 403)
      assert.strictEqual(
        (yield* post("the-token-of-nobody", "reviews", { ...approve, id: "named/2", by: "carl" })).status,
        200
      )
      const [second] = yield* store.attempts("named/2")
      assert.strictEqual(second?.verification?.decision?.by, "carl")
      const overview = yield* request(`${url}/api/queues`, { headers: { authorization: "Bearer the-token-of-ann" } })
      assert.deepInclude(JSON.parse(overview.body), { server: { readOnly: false, role: "review", name: "ann" } })
    })
  )
})
