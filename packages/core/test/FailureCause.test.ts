import { FailureCause } from "@baton/core"
import { assert, describe, it } from "@effect/vitest"

const python = `The command exited with code 1: Traceback (most recent call last):
  File "/tmp/a81b/task.py", line 3, in <module>
    main()
    ~~~~^^
KeyError: 'price'`

const node = `The command exited with code 1: /tmp/a81b/task.js:3
    throw new TypeError("no price")
    ^

TypeError: no price
    at main (/tmp/a81b/task.js:3:9)
    at Object.<anonymous> (/tmp/a81b/task.js:5:1)

Node.js v24.1.0`

describe("the line with the cause of a failure", () => {
  it("is the first line that is not blank", () => {
    assert.strictEqual(FailureCause.line("\n  no price\nmore"), "no price")
    assert.strictEqual(FailureCause.line(""), "")
  })

  it("is the error of a stack trace, also of one that was cut at its beginning", () => {
    assert.strictEqual(FailureCause.line(python), "The command exited with code 1: KeyError: 'price'")
    const cut = python.replace("Traceback (most recent call last):\n", "")
    assert.strictEqual(FailureCause.line(cut), "The command exited with code 1: KeyError: 'price'")
    assert.strictEqual(FailureCause.line(node), "The command exited with code 1: TypeError: no price")
  })

  it("is found in a feedback of megabytes", () => {
    assert.strictEqual(
      FailureCause.line(`${"x\n".repeat(1_000_000)}${python}`).slice(-16),
      "KeyError: 'price'".slice(-16)
    )
  })
})

describe("the cause of failures", () => {
  it.each([
    ["The server answered 529 [req_011CSHoEeqs5C35K2]", "The server answered 529 […]"],
    ["429 Too Many Requests, request 7f3a9c1, retry in 12.5s", "429 Too Many Requests, request …, retry in …"],
    [
      "The command exited with code 3: row 17 of /tmp/x-81/in.csv:17 is empty",
      "The command exited with code 3: row … of … is empty"
    ],
    ["[Errno 2] No such file: './out/5.txt'", "[Errno 2] No such file: '…'"],
    ["status: 404, id=a-1, 2026-01-05T09:00:00.123Z", "status: 404, id=…, …"],
    ["GET https://api.example.com/v1/tasks/81?x=1 failed: HTTP 503", "GET https://api.example.com… failed: HTTP 503"],
    ["commit 0f3c9ab1 of 2d7e4a80-1c1c-4a52-9a3e-1f0c5d1f8a11", "commit … of …"],
    ["The output has 1,532 words instead of 200", "The output has … words instead of …"],
    ["claude-sonnet-5-5 and/or gpt4 refused", "claude-sonnet-…-… and/or gpt4 refused"]
  ])("of %j is %j", (feedback, cause) => {
    assert.strictEqual(FailureCause.of(feedback), cause)
  })

  it("matches a line of a feedback, a cause, a cut cause, or a part of them", () => {
    const feedback = "The command exited with code 3: row 17 is empty"
    for (const text of [
      feedback,
      "ROW 18 is empty",
      FailureCause.of(feedback),
      "The command exited with code 3: ro…",
      "code 3"
    ]) {
      assert.isTrue(FailureCause.matches(feedback, text), text)
    }
    for (const text of ["code 4", "18", "", "…", "row 17 is full"]) {
      assert.isFalse(FailureCause.matches(feedback, text), text)
    }
  })
})
