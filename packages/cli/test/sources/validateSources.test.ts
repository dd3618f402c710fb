import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { sortByDependency } from "../../src/sources/validateSources.ts"

const graph = (edges: Record<string, ReadonlyArray<string>>) => new Map(Object.entries(edges))

describe("dependencies", () => {
  it("puts each id after its dependencies and omits ids outside the graph", () => {
    assert.deepStrictEqual(sortByDependency(graph({ c: ["b", "elsewhere"], b: ["a"], a: ["root"] })), {
      order: ["a", "b", "c"],
      cycles: []
    })
  })

  it("lists the ids of a cycle in order", () => {
    assert.deepStrictEqual(sortByDependency(graph({ in: ["a"], a: ["b"], b: ["c"], c: ["a"] })).cycles, [
      ["a", "b", "c"]
    ])
  })

  it("finds a task that depends on itself", () => {
    assert.deepStrictEqual(sortByDependency(graph({ a: ["a"] })).cycles, [["a"]])
  })

  it("finds all cycles", () => {
    assert.deepStrictEqual(sortByDependency(graph({ a: ["b"], b: ["a"], c: ["d"], d: ["c", "a"] })).cycles, [
      ["a", "b"],
      ["c", "d"]
    ])
  })

  it("sorts a chain of 100,000 ids", () => {
    const chain = new Map(Array.from({ length: 100_000 }, (_, i) => [`${i}`, [`${i + 1}`]]))
    const { cycles, order } = sortByDependency(chain)
    assert.deepStrictEqual([order.length, order[0], order.at(-1), cycles.length], [100_000, "99999", "0", 0])
  })

  it.prop(
    "sorts every acyclic graph",
    [Schema.Array(Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 }))))],
    ([rows]) => {
      const edges = new Map(rows.map((row, i) => [`${i}`, row.filter((to) => to < i).map(String)]))
      const { cycles, order } = sortByDependency(edges)
      assert.deepStrictEqual(cycles, [])
      assert.deepStrictEqual(order.toSorted(), [...edges.keys()].toSorted())
      for (const [id, dependsOn] of edges) {
        for (const other of dependsOn) assert.isBelow(order.indexOf(other), order.indexOf(id))
      }
    }
  )
})
