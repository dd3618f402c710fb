import { assert, describe, it } from "@effect/vitest"
import {
  Execution,
  ExecutionError,
  Executor,
  Redactor,
  RetryPolicy,
  Verification,
  VerificationError,
  Verifier
} from "@baton/core"
import { Effect, Layer, Redacted, Schedule, Schema } from "effect"
import { get, make as orchestrator, tasks } from "./harness.ts"

const redact = Redactor.make()
const secret = (prefix: string, length: number) => prefix + "Ab1".repeat(length).slice(0, length)
const anthropic = secret("sk-ant-api03-", 60)
const jwt = ["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0In0", "c2lnbmF0dXJl"].join(".")
const pem = (body: string) => `-----BEGIN RSA ${"PRIVATE"} KEY-----\n${body}\n-----END RSA PRIVATE KEY-----`

const secrets: Readonly<Record<string, string>> = {
  Anthropic: anthropic,
  OpenAI: secret("sk-proj-", 40),
  Stripe: secret("sk_live_", 24),
  "GitHub, classic": secret("ghp_", 36),
  "GitHub, fine-grained": secret("github_pat_", 60),
  GitLab: secret("glpat-", 20),
  Slack: secret("xoxb-1234-", 24),
  npm: secret("npm_", 36),
  "Hugging Face": secret("hf_", 34),
  Google: secret("AIza", 35),
  AWS: "AKIAIOSFODNN7EXAMPLE",
  Groq: secret("gsk_", 52),
  xAI: secret("xai-", 60),
  Perplexity: secret("pplx-", 48),
  Linear: secret("lin_api_", 40),
  Notion: secret("ntn_", 46),
  Docker: secret("dckr_pat_", 27),
  Grafana: secret("glsa_", 41),
  DigitalOcean: secret("dop_v1_", 64).toLowerCase(),
  Shopify: secret("shpat_", 32),
  PyPI: secret("pypi-", 60),
  SendGrid: `${secret("SG.", 22)}.${secret("", 43)}`,
  "JSON Web Token": jwt
}

describe("a redactor", () => {
  it.each(Object.entries(secrets))("recognizes a key of %s in any position", (_, key) => {
    for (const [before, after] of [
      ["", ""],
      ["key ", " is wrong"],
      ['{"a":"', '"}'],
      ["https://host/?x=", "&y=1"],
      ["https://host/?x%3D", "%26"],
      [String.raw`{"error":"line\n`, String.raw`\n"}`],
      ["(", ")"],
      ["\n", "\n"]
    ] as const) {
      assert.strictEqual(redact(before + key + after), `${before}[redacted]${after}`)
    }
  })

  it.each([
    ["Authorization: Bearer abcdef0123456789", "Authorization: Bearer [redacted]"],
    ["authorization: basic dXNlcjpwYXNzd29yZA==", "authorization: basic [redacted]"],
    ["postgres://app:hunter2@db:5432/x", "postgres://app:[redacted]@db:5432/x"],
    ["redis://:hunter2@cache", "redis://:[redacted]@cache"],
    ["GET https://host/x?key=abcdef12&page=2", "GET https://host/x?key=[redacted]&page=2"],
    ["https://host/x?page=2&token=abcdef12", "https://host/x?page=2&token=[redacted]"],
    ["api_key=abcdef12", "api_key=[redacted]"],
    ["ANTHROPIC_API_KEY=abcdef12", "ANTHROPIC_API_KEY=[redacted]"],
    ["MY_TOKEN=abcdef12 make", "MY_TOKEN=[redacted] make"],
    ['{"password": "hunter2"}', '{"password": "[redacted]"}'],
    ["DB_PASSWORD='hunter2'", "DB_PASSWORD='[redacted]'"],
    ["x-api-key: abcdef12", "x-api-key: [redacted]"],
    ["DB_PASS=hunter2", "DB_PASS=[redacted]"],
    ["SENTRY_DSN=https://a@b/1", "SENTRY_DSN=[redacted]"],
    [`dsn https://${"0a".repeat(16)}@o1.ingest.sentry.io/2`, "dsn https://[redacted]@o1.ingest.sentry.io/2"],
    [
      `POST https://${"hooks.slack"}.com/services/T00000000/B00000000/abcdefghijklmnop failed`,
      "POST https://hooks.slack.com/services/[redacted] failed"
    ],
    [
      "https://discord.com/api/webhooks/123456789012345678/abcdefghijklmnopqrst?wait=true",
      "https://discord.com/api/webhooks/[redacted]?wait=true"
    ],
    ["Cookie: session=abc123; theme=dark\nHost: x", "Cookie: [redacted]\nHost: x"],
    ['{"set-cookie": "id=abc123; Secure", "a": 1}', '{"set-cookie": "[redacted]", "a": 1}'],
    ["error: DB_PASSWORD=hunter2: no", "error: DB_PASSWORD=[redacted] no"],
    ["a=b&password=hunter2", "a=b&password=[redacted]"]
  ])("%s", (text, expected) => {
    assert.strictEqual(redact(text), expected)
  })

  it("recognizes private keys, complete or cut off at either end", () => {
    for (const body of ["MIIEpAIBAAKCAQEA\nabc+/=", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES\n\nMIIEpA"]) {
      assert.strictEqual(
        redact(`before\n${pem(body)}\nafter`),
        "before\n-----BEGIN RSA PRIVATE KEY-----[redacted]\nafter"
      )
    }
    assert.notInclude(redact(pem("MIIEpA").slice(0, -20)), "MIIEpA")
    assert.notInclude(redact(pem("abcd\nMIIEpA").slice(35)), "MIIEpA")
    assert.strictEqual(redact("-----BEGIN CERTIFICATE-----\nMIIEpA"), "-----BEGIN CERTIFICATE-----\nMIIEpA")
  })

  it("leaves ordinary words unchanged", () => {
    for (const text of [
      "The primary key: customer_id is missing",
      "Unexpected token: identifier in line 3",
      "a task-force-of-very-long-hyphenated-words and disk-usage-of-the-whole-machine",
      "expected max_tokens=2048, got tokens: 123456789",
      "see https://example.com/a:b/c@d and mailto:a@b.c",
      "sk-SK is a locale, eyJ is nothing, AKIA too",
      "sort keys=alphabetical, monkey=business",
      "cookie: flour, sugar and butter",
      "see https://hooks.slack.com/help and https://discord.com/api/docs",
      "5 EUR"
    ]) {
      assert.strictEqual(redact(text), text)
    }
  })

  it("recognizes secrets by their value, in addresses and in JSON as well", () => {
    const redact = Redactor.make({
      secrets: [Redacted.make('p"ss/w rd'), Redacted.make("abc"), Redacted.make('p"ss/w rd2')]
    })
    assert.strictEqual(redact('it is p"ss/w rd2, or p"ss/w rd'), "it is [redacted], or [redacted]")
    assert.strictEqual(redact("?a=p%22ss%2Fw%20rd&b"), "?a=[redacted]&b")
    assert.strictEqual(redact(JSON.stringify({ a: 'p"ss/w rd' })), '{"a":"[redacted]"}')
    assert.strictEqual(redact("abc is too short to be told from a word"), "abc is too short to be told from a word")
  })

  it("finds the secrets of an environment by the names of its variables", () => {
    const secrets = Redactor.secretsOf({
      BATON_WEBHOOK_SECRET: "whsec-12345",
      DB_PASS: "correct horse",
      my_api_token: "T0k3n-of-mine",
      PGPASSWORD: "postgres",
      API_KEY: "short",
      PATH: "/usr/bin:/usr/local/bin",
      KEYBOARD: "qwertz-layout-2",
      GONE_TOKEN: undefined
    })
    assert.deepStrictEqual(secrets.map(Redacted.value), ["whsec-12345", "correct horse", "T0k3n-of-mine"])
    assert.strictEqual(Redactor.make({ secrets })("got whsec-12345"), "got [redacted]")
  })

  it("applies custom patterns, with or without flags", () => {
    const redact = Redactor.make({ patterns: [/acme-\d+/i, /\bCUST\d+/gy] })
    assert.strictEqual(redact("ACME-1, acme-22; CUST7"), "[redacted], [redacted]; [redacted]")
  })

  it.prop(
    "removes every key from any text",
    [
      Schema.Array(
        Schema.Union([
          Schema.Literals([
            ...Object.values(secrets),
            "key=",
            "password: ",
            "://",
            ":",
            "@",
            " ",
            "\n",
            "?",
            "Bearer ",
            "-----BEGIN PRIVATE KEY-----",
            "-----END PRIVATE KEY-----"
          ]),
          Schema.String
        ])
      )
    ],
    ([pieces]) => {
      const text = pieces.join("")
      for (const key of Object.values(secrets)) assert.notInclude(redact(`${text} ${key} ${text}`), ` ${key} `)
      assert.notInclude(redact(text), anthropic)
    }
  )

  const pieces = [
    "-eyJ",
    "eyJaaaaaaaaa.",
    "sk-",
    "sk-a-",
    "://",
    "://a:",
    "a",
    "-",
    " ",
    "\n",
    "=",
    "a=",
    "?key=",
    "&key=",
    "Bearer ",
    "bearer\t",
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----a-",
    "-----END PRIVATE KEY-----",
    "-----",
    "ghp_",
    "%2D",
    "\\n",
    "\\nsk-",
    "A",
    "AKIA",
    "cookie: a=",
    "hooks.slack.com/services/",
    "SG.aaaaaaaaaaaaaaaa.",
    "://0a",
    "password",
    "api_key",
    "key key=",
    "a:",
    '"',
    "'",
    "é",
    "://:"
  ]
  it("takes linear time on any text", () => {
    const short = 8192
    const times = 32
    for (const piece of pieces) {
      const text = (length: number) => `${piece.repeat(length / piece.length)} ${anthropic}`
      const [once, many] = [text(short * times), text(short)]
      // In quadratic time, the long text takes 32 times as long as 32 short ones. This measures processor time, which a busy
      // machine hardly changes, and measures again before it fails.
      const isLinear = () => {
        const ofShort = cpuMillis(() => Array.from({ length: times }, () => redact(many)))
        const ofLong = cpuMillis(() => redact(once))
        return ofLong < 8 * ofShort + 20
      }
      assert.isTrue(isLinear() || isLinear() || isLinear(), piece)
      assert.isFalse(redact(once).includes(anthropic), piece)
    }
  })
})

/** The processor time of some work. */
const cpuMillis = (work: () => unknown): number => {
  const before = process.cpuUsage()
  work()
  const { system, user } = process.cpuUsage(before)
  return (user + system) / 1000
}

describe("a run", () => {
  const leak = (where: string) => `${where}: ${anthropic}`
  const leaks = (value: unknown) => JSON.stringify(value).includes(anthropic)

  const run = Effect.fnUntraced(function* (
    executor: Executor.ExecutorService["execute"],
    verify: Verifier.VerifierService["verify"],
    redactor: Layer.Layer<never> = Layer.empty
  ) {
    const {
      journal,
      orchestrator: baton,
      store
    } = yield* orchestrator({
      config: { maxAttempts: 2, retryPolicy: RetryPolicy.immediate, transientRetry: Schedule.recurs(0) },
      executor: Executor.layer(executor),
      verifier: Verifier.layer(verify)
    }).pipe(Effect.provide(redactor))
    yield* store.add(tasks("a"))
    const result = yield* Effect.result(baton.run)
    const task = yield* get(store, "a")
    const attempts = yield* store.attempts(task.id)
    return { result, task, attempts, events: journal.events }
  })

  const leaking = Execution.make({
    output: leak("output"),
    metadata: { stderrTail: leak("stderr"), deep: [{ apiKey: "abcdef", list: [leak("list"), 1, null] }], exitCode: 0 }
  })

  it.effect(
    "removes secrets from metadata and feedback in the store, in events and for the next attempt, and leaves outputs unchanged",
    () =>
      Effect.gen(function* () {
        const told: Array<string | undefined> = []
        const { attempts, events, task } = yield* run(
          (_, context) => {
            told.push(context.previous?.feedback)
            return Effect.succeed(leaking)
          },
          () => Effect.succeed(Verification.reject(leak("feedback"), { issues: [leak("issue")] }))
        )
        assert.deepStrictEqual(told, [undefined, "feedback: [redacted]"])
        assert.strictEqual(task.feedback, "feedback: [redacted]")
        assert.isFalse(leaks(events))
        assert.deepStrictEqual(attempts[0]?.execution?.metadata, {
          stderrTail: "stderr: [redacted]",
          deep: [{ apiKey: "[redacted]", list: ["list: [redacted]", 1, null] }],
          exitCode: 0
        })
        assert.deepStrictEqual(attempts[0]?.verification?.issues, ["issue: [redacted]"])
        assert.strictEqual(attempts[0]?.execution?.output, leak("output"))
      })
  )

  it.effect("removes secrets from errors of every kind, and keeps the rest of the error", () =>
    Effect.gen(function* () {
      const error = (reason: ExecutionError["reason"]) =>
        new ExecutionError({
          reason,
          message: leak("message"),
          output: "half",
          metadata: { requestId: "r1", url: leak("url") },
          cause: new Error("wrapped", { cause: { headers: { authorization: leak("header") } } })
        })
      const failed = yield* run(
        () => Effect.fail(error("Permanent")),
        () => Effect.die("unused")
      )
      assert.isFalse(leaks([failed.task, failed.attempts, failed.events]))
      assert.deepInclude(failed.attempts[0]?.execution, {
        output: "half",
        metadata: { requestId: "r1", url: "url: [redacted]" }
      })
      const fatal = yield* run(
        () => Effect.fail(error("Fatal")),
        () => Effect.die("unused")
      )
      assert(fatal.result._tag === "Failure")
      assert.include(fatal.result.failure.message, "[redacted]")
      assert.notInclude(String(fatal.result.failure.error?.cause), anthropic)
      assert.isUndefined(fatal.result.failure.error?.cause)
      const died = yield* run(
        () => Effect.die(new Error(leak("bug"))),
        () => Effect.die("unused")
      )
      assert.include(died.task.feedback, "bug: [redacted]")
      assert.isFalse(leaks([died.task, died.attempts, died.events]))
      const threw = yield* run(
        () => {
          throw new Error(leak("thrown"))
        },
        () => Effect.die("unused")
      )
      assert.include(threw.task.feedback, "thrown: [redacted]")
    })
  )

  it.effect("removes secrets from errors of the verifier", () =>
    Effect.gen(function* () {
      const { attempts, events, task } = yield* run(
        () => Effect.succeed(Execution.make({ output: "x" })),
        () => Effect.fail(new VerificationError({ reason: "Failed", message: leak("judge") }))
      )
      assert.include(task.feedback, "judge: [redacted]")
      assert.isFalse(leaks([task, attempts, events]))
      const died = yield* run(
        () => Effect.succeed(Execution.make({ output: "x" })),
        () => Effect.die(leak("bug"))
      )
      assert.isFalse(leaks([died.task, died.attempts, died.events]))
    })
  )

  it.effect("leaves the cause of an error unchanged if it contains no secret", () =>
    Effect.gen(function* () {
      const cause = new Error("no route to host")
      const { result } = yield* run(
        () => Effect.fail(new ExecutionError({ reason: "Fatal", message: "no network", cause })),
        () => Effect.die("unused")
      )
      assert(result._tag === "Failure")
      assert.strictEqual(result.failure.error?.cause, cause)
    })
  )

  it.effect("uses another redactor, or none", () =>
    Effect.gen(function* () {
      const reject = () => Effect.succeed(Verification.reject(`${anthropic} of customer-17`))
      const execute = () => Effect.succeed(leaking)
      const own = yield* run(execute, reject, Redactor.layer({ patterns: [/customer-\d+/] }))
      assert.strictEqual(own.task.feedback, "[redacted] of [redacted]")
      const none = yield* run(execute, reject, Redactor.layerNone)
      assert.strictEqual(none.task.feedback, `${anthropic} of customer-17`)
      assert.deepStrictEqual(none.attempts[0]?.execution, leaking)
    })
  )
})
