import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { complaints, describeSources, descriptions, read } from "../sourceFiles.ts"

describeSources("markdown", (it) => {
  it.effect("reads unchecked checkboxes in every kind of list and skips checked ones", () =>
    Effect.gen(function* () {
      const content =
        "# Plan\n\n- [ ] dash\n* [ ] star\n+ [ ] plus\n1. [ ] first\n22) [ ] second\n- [x] done\n- [X] done too\n- plain\n[ ] no list\n- [-] no box\n"
      assert.deepStrictEqual(yield* descriptions("a.md", content), [
        [3, "dash"],
        [4, "star"],
        [5, "plus"],
        [6, "first"],
        [7, "second"]
      ])
    })
  )

  it.effect("adds the indented lines below a checkbox to it, up to the next checkbox or unindented line", () =>
    Effect.gen(function* () {
      const content = [
        "- [ ] write the report",
        "  in two parts:",
        "",
        "  - facts",
        "    - with sources",
        "",
        "  - opinion",
        "- [ ] send it",
        "to everyone",
        "",
        "\t- [ ] tabbed",
        "\t  more",
        ""
      ].join("\r\n")
      assert.deepStrictEqual(yield* descriptions("a.md", content), [
        [1, "write the report\nin two parts:\n\n- facts\n  - with sources\n\n- opinion"],
        [8, "send it"],
        [11, "tabbed\nmore"]
      ])
    })
  )

  it.effect("makes a separate task of a nested checkbox and ignores the text below a checked one", () =>
    Effect.gen(function* () {
      const content = "- [ ] parent\n  - [ ] child\n    of it\n- [x] done\n  - [ ] open child\n  and its text\n"
      assert.deepStrictEqual(yield* descriptions("a.markdown", content), [
        [1, "parent"],
        [2, "child\nof it"],
        [5, "open child"]
      ])
    })
  )

  it.effect("ignores checkboxes in fenced code and keeps the code of a task", () =>
    Effect.gen(function* () {
      const content = [
        "```md",
        "- [ ] an example",
        "~~~",
        "- [ ] another",
        "```",
        "- [ ] run this:",
        "  ```",
        "  - [ ] not a task",
        "  ```",
        "  and look",
        "- [ ] unclosed",
        "  ~~~~ts",
        "  ~~~",
        "  code",
        "- [ ] next"
      ].join("\n")
      assert.deepStrictEqual(yield* descriptions("a.md", content), [
        [6, "run this:\n```\n- [ ] not a task\n```\nand look"],
        [11, "unclosed\n~~~~ts\n~~~\ncode"],
        [15, "next"]
      ])
    })
  )

  it.effect("finds no tasks in text without checkboxes", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* read("a.md", "# Title\n\ntext\n- list\n"), [])
    })
  )

  it.effect("reports a checkbox without text", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* complaints("a.md", "- [ ] one\n- [ ]\n- [ ]  \n"), [
        "a.md:2: the description is empty; write what the task is to do",
        "a.md:3: the description is empty; write what the task is to do"
      ])
    })
  )
})
