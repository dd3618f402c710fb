import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Notification } from "../../src/hooks/notify.ts"
import { type Answer, receiver } from "../hooks/receiver.ts"
import { baton, folder } from "./baton.ts"

/** A test of the built program, in its own folder, with a receiver of messages. */
const live = (
  name: string,
  answer: Answer,
  test: (dir: Effect.Success<typeof folder>, to: Effect.Success<ReturnType<typeof receiver>>) => Effect.Effect<void>
) => it.live(name, () => Effect.flatMap(Effect.all([folder, receiver(() => answer)]), ([dir, to]) => test(dir, to)))

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Notification))
const decodeSlack = Schema.decodeUnknownSync(
  Schema.fromJsonString(Schema.Struct({ text: Schema.String, mrkdwn: Schema.Literal(false) }))
)
const decodeDiscord = Schema.decodeUnknownSync(
  Schema.fromJsonString(
    Schema.Struct({ content: Schema.String, allowed_mentions: Schema.Struct({ parse: Schema.Tuple([]) }) })
  )
)

describe("--notify", () => {
  live("posts one message with the totals of the list and the path of the report", { status: 200 }, (dir, to) =>
    Effect.gen(function* () {
      dir.write("prompts.txt", "a\nb\nbad\n")
      const report = ["--report", "out.html"]
      const exec = ["--shell", "grep -v bad", "--no-verify", "--max-attempts", "1"]
      const { code, stderr } = yield* baton(dir.path, ["run", "prompts.txt", ...exec, ...report, "--notify", to.url])
      assert.strictEqual(code, 2, stderr)
      assert.strictEqual(to.received.length, 1)
      const { counts, queues, reason, report: path, text } = decode(to.received[0]?.body ?? "")
      assert.deepStrictEqual(queues, ["prompts"])
      assert.strictEqual(reason._tag, "Drained")
      assert.deepInclude(counts, { completed: 2, failed: 1 })
      assert.match(path ?? "", /^\/.*\/out\.html$/)
      assert.match(text, /^✗ prompts: 2 of 3 tasks completed in .*\n/)
      assert.include(
        text,
        "\nattempts: 3 attempts, 1 of them failed\nfailed: 1 task, in the dead-letter queue\nreport: /"
      )
      assert.match(dir.read("out.html"), /^<!doctype html>/i)
    })
  )

  live("names the limit that stopped the run, and uses Slack's format without its markup", { status: 200 }, (dir, to) =>
    Effect.gen(function* () {
      dir.write("list.txt", "a\nb\n")
      const notify = ["--notify", to.url, "--notify-format", "slack", "--queue", "<!channel> & co"]
      const { code } = yield* baton(dir.path, [
        "run",
        "list.txt",
        "--exec",
        "cat",
        "--no-verify",
        "--quiet",
        "--max-iterations",
        "1",
        ...notify
      ])
      assert.strictEqual(code, 3)
      const { text } = decodeSlack(to.received[0]?.body ?? "")
      assert.match(text, /^✗ &lt;!channel&gt; &amp; co: Stopped: .*1 of 2 tasks completed.*\nleft: 1 task$/)
    })
  )

  live("uses Discord's format, in which it mentions nobody", { status: 204 }, (dir, to) =>
    Effect.gen(function* () {
      dir.write("my_list.txt", "a\n")
      const notify = ["--notify", to.url, "--notify-format", "discord"]
      yield* baton(dir.path, ["run", "my_list.txt", "--exec", "cat", "--no-verify", ...notify])
      const { content } = decodeDiscord(to.received[0]?.body ?? "")
      assert.match(content, /^✓ my\\_list: 1 of 1 task completed/)
    })
  )

  live("shows the answer of a webhook that refuses the message", { status: 400, body: "no_text" }, (dir, to) =>
    Effect.gen(function* () {
      dir.write("list.txt", "a\n")
      const args = ["run", "list.txt", "--exec", "cat", "--no-verify", "--notify", to.url]
      const { code, stderr } = yield* baton(dir.path, args)
      assert.strictEqual(code, 0)
      assert.include(stderr, "The webhook answered 400: no_text")
      assert.notInclude(stderr, "token=hidden")
    })
  )

  live("is required by --notify-format", { status: 200 }, (dir) =>
    Effect.gen(function* () {
      dir.write("list.txt", "a\n")
      const args = ["run", "list.txt", "--exec", "cat", "--no-verify", "--notify-format", "slack"]
      const { code, stderr } = yield* baton(dir.path, args)
      assert.strictEqual(code, 1)
      assert.include(stderr, "--notify-format only works with --notify. Add --notify URL")
    })
  )
})

describe("--report", () => {
  live("is refused before the run if the file cannot be written", { status: 200 }, (dir) =>
    Effect.gen(function* () {
      dir.write("list.txt", "a\n")
      const refused = Effect.fnUntraced(function* (file: string) {
        const args = ["run", "list.txt", "--exec", "cat", "--no-verify", "--report", file]
        const { code, stderr } = yield* baton(dir.path, args)
        assert.strictEqual(code, 1)
        return stderr
      })
      assert.include(yield* refused("o.pdf"), '--report is "o.pdf": it takes the path of a file that ends with .html')
      const missing = "r/o.md cannot be written: there is no directory r. Create it first: mkdir -p r."
      assert.include(yield* refused("r/o.md"), missing)
      assert.deepStrictEqual(dir.entries(), ["list.txt"])
    })
  )
})
