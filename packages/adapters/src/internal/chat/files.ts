import * as Predicate from "effect/Predicate"
import type { MessageRequest } from "./MessageRequest.ts"

/** Images and PDFs have their own token counts, whatever the length of their data. */
export const withoutFiles = (_: string, value: unknown): unknown =>
  Predicate.hasProperty(value, "type") && value.type === "base64" ? null : value

/** An upper bound for images, and an estimate for PDFs. */
export const tokensOfFiles = (messages: MessageRequest["messages"], model: string): number => {
  let tokens = 0
  for (const { content } of messages) {
    if (typeof content === "string") continue
    for (const { source, type } of content) {
      if (!Predicate.hasProperty(source, "type") || source.type !== "base64") continue
      const data = Predicate.hasProperty(source, "data") && typeof source.data === "string" ? source.data : ""
      tokens += type === "document" ? tokensOfDocument(data) : tokensOfImage(model)
    }
  }
  return tokens
}

/** The APIs scale an image down. OpenAI's smallest models bill the most tokens for one. */
const tokensOfImage = (model: string): number => (model.startsWith("claude-") ? 5000 : 50_000)

/**
 * The text of a page and its image. The number of pages is known only where the file does not compress its list of pages, and
 * the length of the data, whose text is compressed, is taken for the tokens of the text.
 */
const tokensOfDocument = (data: string): number => {
  const pages =
    Buffer.from(data, "base64")
      .toString("latin1")
      .match(/\/Type\s*\/Page\b(?!s)/g)?.length ?? 1
  return data.length + 5000 * pages
}
