/** The environment as a whole, read through the `ConfigProvider`, so that tests can replace it. */
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"

/** All variables with their values. Empty if the provider cannot list them. */
export const variables = Effect.gen(function* () {
  const provider = yield* ConfigProvider.ConfigProvider
  return Object.fromEntries(yield* below(provider, []))
}).pipe(Effect.orElseSucceed((): Record<string, string> => ({})))

type Variables = ReadonlyArray<readonly [name: string, value: string]>

/** A provider splits names at `_`: a variable can have a value and be the beginning of other names. */
const below = (
  provider: ConfigProvider.ConfigProvider,
  path: ReadonlyArray<string>
): Effect.Effect<Variables, ConfigProvider.SourceError> =>
  Effect.flatMap(provider.load(path), (node) => {
    if (node === undefined) return Effect.succeed([])
    const own: Variables = node.value === undefined ? [] : [[path.join("_"), node.value]]
    const children = childrenOf(node)
    return Effect.map(
      Effect.forEach(children, (child) => below(provider, [...path, child])),
      (found) => [...own, ...found.flat()]
    )
  })

const mostElements = 100

const childrenOf = (node: ConfigProvider.Node): ReadonlyArray<string> => {
  switch (node._tag) {
    case "Value":
      return []
    case "Record":
      return Array.from(node.keys)
    case "Array":
      // A name that ends in a date makes an array of millions.
      return Array.from({ length: Math.min(node.length, mostElements) }, (_, index) => String(index))
  }
}
