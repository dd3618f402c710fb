import { TaskStore } from "@baton/core"
import { assert, describe } from "@effect/vitest"
import { Effect, FileSystem, Option } from "effect"
import { join } from "node:path"
import { baton, test } from "./harness.ts"

/** A pipeline in a temporary directory, whose source is `pages.csv` there. */
const pipeline = Effect.fnUntraced(function* (text: string, records = ["1,Alpha,first", "2,Beta,second"]) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* fs.makeTempDirectoryScoped({ prefix: "baton-test-" })
  const write = (name: string, text: string) => fs.writeFileString(join(path, name), text)
  const file = join(path, "report.yaml")
  yield* write("pages.csv", ["id,title,text", ...records, ""].join("\n"))
  const inPlace = (text: string) => text.replaceAll("pages.csv", join(path, "pages.csv"))
  yield* write("report.yaml", inPlace(`name: report\n${text}`))
  return {
    file,
    rewrite: (text: string) => write("report.yaml", inPlace(`name: report\n${text}`)),
    records: (records: ReadonlyArray<string>) => write("pages.csv", ["id,title,text", ...records, ""].join("\n"))
  }
})

const resultOf = (id: string) =>
  Effect.map(
    TaskStore.TaskStore.use((store) => store.get(id)),
    Option.match({ onNone: () => "missing", onSome: ({ result, status }) => result ?? status })
  )

const three = (reduce = "All: {{summarise}}") => `executor: fake
stages:
  report:
    reduce: summarise
    template: "${reduce}"
  summarise:
    from: fetch
    template: "{{title}} is {{fetch}}"
  fetch:
    from: pages.csv
    template: "Get {{text}}"
`

const verified = ["--verifier", "always-pass"] as const

describe("baton run with a pipeline", () => {
  test(
    "gives each stage the outputs of the one before, and one task all of them",
    Effect.gen(function* () {
      const { file } = yield* pipeline(three())
      const { exitCode, stderr } = yield* baton(["run", file, ...verified])
      assert.strictEqual(exitCode, 0, stderr)
      assert.include(stderr, "report.yaml: fetch: 2 tasks added")
      assert.strictEqual(yield* resultOf("report/fetch/1"), "Fake result for: Get first")
      assert.strictEqual(yield* resultOf("report/summarise/2"), "Fake result for: Beta is Fake result for: Get second")
      assert.strictEqual(
        yield* resultOf("report/report/all"),
        "Fake result for: All: Fake result for: Alpha is Fake result for: Get first\n\n" +
          "Fake result for: Beta is Fake result for: Get second"
      )
      const again = yield* baton(["run", file, ...verified])
      assert.include(again.stderr, "Nothing to do: all 5 tasks are already completed")
    })
  )

  test(
    "a stage can use the outputs of every stage before it, and placeholders in data stay text",
    Effect.gen(function* () {
      const { file } = yield* pipeline(three("{{fetch}} and {{summarise}}"), ["1,{{fetch}},{{x}}"])
      assert.strictEqual((yield* baton(["run", file, ...verified])).exitCode, 0)
      assert.strictEqual(
        yield* resultOf("report/report/all"),
        "Fake result for: Fake result for: Get {{x}} and Fake result for: {{fetch}} is Fake result for: Get {{x}}"
      )
    })
  )

  test(
    "reads a field of an output in JSON, and fails the task whose input does not have it",
    Effect.gen(function* () {
      const { file } = yield* pipeline(
        `stages:
  fetch:
    from: pages.csv
    template: '{"name": "{{title}}"{{text}}}'
    exec: cat
  greet:
    from: fetch
    template: "Hello {{fetch.name}}, {{fetch.age}}"
    exec: cat
`,
        ['1,Alpha,", ""age"": 3"', "2,Beta,"]
      )
      const { exitCode } = yield* baton(["run", file, "--no-verify", "--retry-delay", "0s"])
      assert.strictEqual(exitCode, 2)
      assert.strictEqual(yield* resultOf("report/greet/1"), "Hello Alpha, 3")
      const failed = Option.getOrThrow(yield* TaskStore.TaskStore.use((store) => store.get("report/greet/2")))
      assert.strictEqual(failed.status, "failed")
      assert.include(failed.feedback, 'uses the field age of the output of "report/fetch/2", which does not have it')
    })
  )

  test(
    "verifies the tasks of each stage with its verifier, and counts the others as unverified",
    Effect.gen(function* () {
      const { file } = yield* pipeline(`executor: fake
stages:
  fetch:
    from: pages.csv
    template: "{{text}}"
    verifier: always-pass
  summarise:
    from: fetch
`)
      const { exitCode, stderr } = yield* baton(["run", file])
      assert.strictEqual(exitCode, 0, stderr)
      assert.include(stderr, "2 tasks completed without verification")
      const store = yield* TaskStore.TaskStore
      const isVerified = (id: string) => Effect.map(store.get(id), (task) => Option.getOrThrow(task).verified)
      assert.isTrue(yield* isVerified("report/fetch/1"))
      assert.isFalse(yield* isVerified("report/summarise/1"))
    })
  )

  test(
    "asks what to do when a template changed, and runs what depends on it again",
    Effect.gen(function* () {
      const { file, rewrite } = yield* pipeline(three())
      yield* baton(["run", file, ...verified])
      yield* rewrite(three().replace("{{title}} is", "{{title}} was"))
      const refused = yield* baton(["run", file, ...verified])
      assert.strictEqual(refused.exitCode, 1)
      assert.include(refused.stderr, '"{{title}} is {{fetch}}" is now "{{title}} was {{fetch}}"')
      const again = yield* baton(["run", file, ...verified, "--on-changed", "rerun"])
      assert.include(again.stderr, "3 completed in")
      assert.include(yield* resultOf("report/report/all"), "Alpha was")
    })
  )

  test(
    "gives new records to a task that waits, and asks before it reduces again",
    Effect.gen(function* () {
      const { file, records } = yield* pipeline(three())
      // Nothing completes, so that the report waits.
      yield* baton(["run", file, ...verified, "--max-iterations", "1"])
      yield* records(["1,Alpha,first", "2,Beta,second", "3,Gamma,third"])
      assert.strictEqual((yield* baton(["run", file, ...verified])).exitCode, 0)
      assert.include(yield* resultOf("report/report/all"), "Gamma is")
      yield* records(["1,Alpha,first", "2,Beta,second", "3,Gamma,third", "4,Delta,fourth"])
      const refused = yield* baton(["run", file, ...verified])
      assert.include(refused.stderr, '"All: {{summarise}} (3 inputs)" is now "All: {{summarise}} (4 inputs)"')
      yield* baton(["run", file, ...verified, "--on-changed", "rerun"])
      assert.include(yield* resultOf("report/report/all"), "Delta is")
    })
  )

  test(
    "keeps a budget for each stage, and counts all of them against that of the pipeline",
    Effect.gen(function* () {
      const text = (maxCost: string) => `maxCost: ${maxCost}
costFrom: $.cost
resultFrom: $.text
maxCostPerAttempt: 0.2
noVerify: true
stages:
  fetch:
    from: pages.csv
    exec: cat
    maxCost: 0.5
    template: '{"cost": 0.2, "text": "{{text}}"}'
  report:
    from: fetch
    exec: cat
    template: '{"cost": 0.2, "text": "{{fetch}}"}'
`
      const { file, rewrite } = yield* pipeline(text("0.6"))
      const stopped = yield* baton(["run", file, "-j", "1"])
      assert.strictEqual(stopped.exitCode, 3, stopped.stderr)
      const store = yield* TaskStore.TaskStore
      const budgets = yield* store.budgets?.list ?? Effect.succeed([])
      assert.deepStrictEqual(
        budgets.map(({ committed, limit, queue }) => [queue, committed.nanoUsd / 1e9, (limit.nanoUsd ?? 0) / 1e9]),
        [
          ["report/fetch", 0.4, 0.5],
          ["report/report", 0.2, 0.6]
        ]
      )
      const again = yield* baton(["run", file])
      assert.strictEqual(again.exitCode, 3)
      assert.include(again.stderr, "The budget of the pipeline is used up: $0.6000 of $0.6000 spent or reserved")
      assert.include(again.stderr, "raise maxCost in")
      yield* rewrite(text("0.8"))
      const { exitCode, stderr } = yield* baton(["run", file])
      assert.strictEqual(exitCode, 0, stderr)
    })
  )

  test(
    "reports all mistakes with their lines",
    Effect.gen(function* () {
      const { file } = yield* pipeline(`maxCosts: 5
stages:
  a: {from: b}
  b: {from: a}
  c:
    from: fecth
    verifier: cluade
  d:
    template: "{{x"
  e:
    reduce: c
    from: pages.csv
  fetch: {from: missing.csv}
  2: {from: a}
`)
      const { exitCode, stderr } = yield* baton(["run", file, "--executor", "fake"])
      assert.strictEqual(exitCode, 1)
      const lines = stderr.split("\n").map((line) => line.slice(line.indexOf("report.yaml:") + "report.yaml:".length))
      for (const expected of [
        "2: unknown key maxCosts; did you mean maxCost?",
        '7: from is "fecth", which is not a stage or a file; did you mean fetch?',
        "10: template: the {{ at character 1 has no closing }}; for a literal {{, write \\{{",
        "9: the stage d has no input: add from (a file or a stage), each (a pattern of files) or reduce (a stage)",
        "11: the stage e has reduce and from: keep one of them",
        '15: "2" is not the name of a stage: use letters, digits, - and _, beginning with a letter',
        "4: these stages wait for each other, so none can start: a → b → a; change the input of one of them"
      ]) {
        assert.include(lines, expected)
      }
      assert.include(stderr, 'report.yaml:8: verifier is "cluade", but takes always-pass, ')
    })
  )

  test(
    "reports a field that no record has, a stage without an executor, and flags that do not fit",
    Effect.gen(function* () {
      const { file, rewrite } = yield* pipeline(three("{{sumarise}}"))
      const missing = yield* baton(["run", file, ...verified])
      assert.include(
        missing.stderr,
        "report.yaml:6: the template uses {{sumarise}}, but there is no earlier stage and no field"
      )
      yield* rewrite("stages:\n  a: {from: pages.csv}\n")
      assert.include((yield* baton(["run", file])).stderr, "report.yaml:3: the stage a has no executor")
      const template = yield* baton(["run", file, "--template", "{{x}}"])
      assert.include(template.stderr, "--template does not work with")
      const plan = yield* baton(["plan", file, "--executor", "fake"])
      assert.include(plan.stderr, "this is a pipeline, which only `baton run` reads")
    })
  )
})
