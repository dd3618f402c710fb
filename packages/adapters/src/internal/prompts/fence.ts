import { createHash } from "node:crypto"

/**
 * Sets texts apart from the words around them, so that a model can tell what it is asked from what it is shown: each
 * stands between `<name-key>` and `</name-key>`.
 *
 * The key does two things. It occurs in none of the texts, so none of them can close its own fence. And it comes out of
 * a hash of all of them, so whoever writes one of them cannot know it beforehand, not even from an earlier answer. It is
 * not random: the same texts have the same fence, and a request that is made again is the same request, which a cache
 * of answers recognises.
 */
export const fence = (...texts: ReadonlyArray<string>) => {
  const key = keyOf(texts)
  return {
    key,
    around: (name: string, text: string): string => `<${name}-${key}>\n${text}\n</${name}-${key}>`
  }
}

const keyOf = (texts: ReadonlyArray<string>): string => {
  let key = hash(texts)
  while (texts.some((text) => text.includes(key))) key = hash([key, ...texts])
  return key
}

// JSON keeps ["ab"] and ["a", "b"] apart.
const hash = (texts: ReadonlyArray<string>) =>
  createHash("sha256").update(JSON.stringify(texts)).digest("hex").slice(0, 16)
