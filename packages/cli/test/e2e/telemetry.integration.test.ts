import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { FetchHttpClient, HttpClient } from "effect/http"
import { execFileSync, spawnSync } from "node:child_process"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { baton, folder, start } from "./baton.ts"

const Value = Schema.Union([
  Schema.Struct({ stringValue: Schema.String }),
  Schema.Struct({ intValue: Schema.Union([Schema.Int, Schema.NumberFromString]) }),
  Schema.Struct({ doubleValue: Schema.Finite }),
  Schema.Struct({ boolValue: Schema.Boolean })
])
const Attributes = Schema.Array(Schema.Struct({ key: Schema.String, value: Value }))
const Span = Schema.Struct({
  traceId: Schema.String,
  spanId: Schema.String,
  parentSpanId: Schema.optional(Schema.String),
  name: Schema.String,
  kind: Schema.Int,
  attributes: Attributes,
  events: Schema.Array(Schema.Struct({ name: Schema.String, attributes: Attributes })),
  links: Schema.Array(Schema.Struct({ traceId: Schema.String, spanId: Schema.String }))
})
const Traces = Schema.fromJsonString(
  Schema.Struct({
    resourceSpans: Schema.Array(
      Schema.Struct({
        resource: Schema.Struct({ attributes: Attributes }),
        scopeSpans: Schema.Array(Schema.Struct({ spans: Schema.Array(Span) }))
      })
    )
  })
)
const decodeTraces = Schema.decodeUnknownSync(Traces)

/** An OTLP receiver over HTTP that records the requests by path. */
const receiver = Effect.acquireRelease(
  Effect.callback<{ readonly url: string; readonly bodies: Map<string, Array<string>>; readonly close: () => void }>(
    (resume) => {
      const bodies = new Map<string, Array<string>>()
      const server = createServer((request, response) => {
        let body = ""
        request.setEncoding("utf8").on("data", (text: string) => (body += text))
        request.on("end", () => {
          const path = `${request.headers["content-type"]} ${request.url}`
          bodies.set(path, [...(bodies.get(path) ?? []), body])
          response.writeHead(200, { "content-type": "application/json" }).end("{}")
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, bodies, close: () => server.close() }))
      })
    }
  ),
  ({ close }) => Effect.sync(close)
)

const spansOf = (bodies: ReadonlyArray<string> = []) =>
  bodies.flatMap((body) =>
    decodeTraces(body).resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
  )

const attributesOf = ({ attributes }: { readonly attributes: typeof Attributes.Type }) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))

const json = { OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" }

describe("the collector in OTEL_EXPORTER_OTLP_ENDPOINT", () => {
  it.live("receives the traces of tasks with names from the GenAI conventions, also across a restart", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const { bodies, url } = yield* receiver
      dir.write("tasks.jsonl", `{"id":"a","description":"say SECRET"}\n`)
      const env = { ...json, OTEL_EXPORTER_OTLP_ENDPOINT: url }
      const run = (verify: string) =>
        baton(dir.path, ["run", "tasks.jsonl", "--exec", "cat", "--verify", verify, "--max-iterations", "1"], env)
      assert.strictEqual((yield* run("false")).code, 3)
      assert.strictEqual((yield* run("true")).code, 0)

      const spans = spansOf(bodies.get("application/json /v1/traces"))
      const [first, second] = spans.filter(({ name }) => name === "baton.task")
      assert.isDefined(first)
      assert.strictEqual(second?.traceId, first?.traceId)
      assert.strictEqual(second?.parentSpanId, first?.spanId)
      assert.deepStrictEqual(second?.links[0], { traceId: first?.traceId, spanId: first?.spanId })
      const runs = spans.filter(({ name }) => name === "invoke_workflow baton")
      assert.strictEqual(runs.length, 2)
      assert.deepInclude(attributesOf(runs[0] ?? { attributes: [] }), { "gen_ai.operation.name": "invoke_workflow" })
      assert.isTrue(spans.some(({ name, parentSpanId }) => name === "invoke_agent" && parentSpanId === first?.spanId))
      assert.isTrue(
        spans.some(({ name, parentSpanId }) => name === "TaskStore.settle" && parentSpanId === runs[0]?.spanId)
      )
      const verdicts = spans.flatMap(({ events }) => events).filter(({ name }) => name === "gen_ai.evaluation.result")
      assert.deepStrictEqual(
        verdicts.map((event) => attributesOf(event)["gen_ai.evaluation.score.label"]),
        ["fail", "pass"]
      )
      assert.include(bodies.get("application/json /v1/traces")?.[0], '"baton"')
      // Prompts and outputs are exported only on request.
      assert.notInclude([...bodies.values()].flat().join(), "SECRET")
      // Metrics are exported too.
      assert.include(bodies.get("application/json /v1/metrics")?.join(), "baton_attempts_total")
    })
  )

  it.live("receives prompts and outputs only on request, and protobuf unless JSON is configured", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const { bodies, url } = yield* receiver
      dir.write("tasks.jsonl", `{"id":"a","description":"say SECRET"}\n`)
      yield* baton(dir.path, ["run", "tasks.jsonl", "--exec", "tr a-z A-Z", "--no-verify"], {
        OTEL_EXPORTER_OTLP_ENDPOINT: url,
        OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: "true"
      })
      const sent = bodies.get("application/x-protobuf /v1/traces")?.join() ?? ""
      assert.include(sent, "say SECRET")
      assert.include(sent, "SAY SECRET")
    })
  )

  it.live("does not affect a run if it cannot be reached", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      dir.write("tasks.txt", "one\ntwo\n")
      const args = ["run", "tasks.txt", "--executor", "fake", "--no-verify"]
      const { code, stderr } = yield* baton(dir.path, args, { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" })
      assert.strictEqual(code, 0, stderr)
      assert.include(stderr, "2 of 2 tasks completed")
      const wrong = yield* baton(dir.path, args, {
        OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1",
        OTEL_EXPORTER_OTLP_PROTOCOL: "grpc"
      })
      assert.strictEqual(wrong.code, 1)
      assert.include(wrong.stderr, 'OTEL_EXPORTER_OTLP_PROTOCOL is "grpc": it takes http/protobuf or http/json.')
    })
  )
})

const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

const hasPromtool = spawnSync("promtool", ["--version"]).status === 0

describe("--metrics-port", () => {
  it.live("serves metrics for Prometheus during the run", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const port = yield* freePort
      dir.write("tasks.txt", "one\ntwo\nthree\n")
      const args = ["worker", "--exec", "cat", "--verify", "grep -q o", "--max-attempts", "1", "--output", "ndjson"]
      yield* baton(dir.path, ["import", "tasks.txt"])
      const worker = yield* start(dir.path, [...args, "--metrics-port", `${port}`])
      yield* worker.event("TaskFailed")
      const response = yield* HttpClient.get(`http://127.0.0.1:${port}/metrics`)
      assert.match(response.headers["content-type"] ?? "", /^text\/plain; version=0\.0\.4/)
      const text = yield* response.text
      assert.match(text, /^baton_attempts_total\{[^}]*queue="tasks"[^}]*outcome="failed"[^}]*\} 1$/m)
      assert.match(text, /^baton_attempt_duration_seconds_count\{[^}]*queue="tasks"[^}]*\} \d+$/m)
      assert.match(text, /^baton_tasks\{status="pending"\} \d+$/m)
      // Every line is a comment or a sample: https://prometheus.io/docs/instrumenting/exposition_formats/
      const sample =
        /^(?:# (?:HELP|TYPE) [a-z_:]+ .+|[a-z_:]+(?:\{[a-z_]+="[^"\\]*"(?:,[a-z_]+="[^"\\]*")*\})? -?[\d.e+]+)$/
      assert.deepStrictEqual(
        text.split("\n").filter((line) => line !== "" && !sample.test(line)),
        []
      )
      if (hasPromtool) execFileSync("promtool", ["check", "metrics"], { input: text })
      yield* worker.kill("SIGTERM")
      assert.strictEqual((yield* worker.ended).code, 143)
    }).pipe(Effect.provide(FetchHttpClient.layer))
  )

  it.live("is refused before the run starts if it is in use or not a port", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const { url } = yield* receiver
      const taken = url.slice("http://".length)
      dir.write("tasks.txt", "one\n")
      const run = (at: string) => baton(dir.path, ["run", "tasks.txt", "--executor", "fake", "--metrics-port", at])
      assert.deepInclude(yield* run(taken), { code: 1 })
      assert.include(
        (yield* run(taken)).stderr,
        `--metrics-port ${taken} cannot be used: another process uses this port.`
      )
      assert.include((yield* run("http")).stderr, '--metrics-port is "http": it takes a port such as 9464')
      assert.include((yield* baton(dir.path, ["list"])).stdout, "pending")
    })
  )
})
