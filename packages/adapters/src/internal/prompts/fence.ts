import { createHash } from "node:crypto"

/**
 * Puts each text between `<name-key>` and `</name-key>`, so that a model can distinguish instructions from material.
 *
 * The key occurs in none of the texts, so none of them can close its own fence. It is a hash of all of them, so the author of
 * one cannot predict it, not even from an earlier prompt. It is not random: the same texts have the same fence, so a
 * repeated request is identical and a cache of replies recognises it.
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

// JSON distinguishes ["ab"] from ["a", "b"].
const hash = (texts: ReadonlyArray<string>) =>
  createHash("sha256").update(JSON.stringify(texts)).digest("hex").slice(0, 16)
