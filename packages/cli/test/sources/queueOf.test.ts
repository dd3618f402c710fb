import { assert, it } from "@effect/vitest"
import { queueOf } from "../../src/sources/queueOf.ts"

it("a queue is named after the path of its source, without directory changes and extension", () => {
  const names: ReadonlyArray<readonly [source: string, queue: string]> = [
    ["prompts.csv", "prompts"],
    ["./prompts.csv", "prompts"],
    ["en/prompts.csv", "en/prompts"],
    ["./en/../de/prompts.csv", "de/prompts"],
    [`${process.cwd()}/prompts.csv`, "prompts"],
    ["../other/prompts.csv", "prompts"],
    ["/dev/fd/63", "default"],
    ["archive.tar.gz", "archive.tar"],
    [".hidden", ".hidden"],
    ["a\nb.txt", "a_b"],
    ["-", "default"],
    ["each:docs/*.md", "docs/*.md"],
    ["github:acme/site?label=bug", "acme/site?label=bug"],
    [`${"x".repeat(200)}.txt`, "x".repeat(100)]
  ]
  for (const [source, queue] of names) assert.strictEqual(queueOf(source), queue)
})
