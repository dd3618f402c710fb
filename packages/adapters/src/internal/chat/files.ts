import * as Predicate from "effect/Predicate"
import type * as Schema from "effect/Schema"
import imageSize from "image-size"
import { inflateSync } from "node:zlib"
import type { MessageRequest } from "./MessageRequest.ts"

/** Images and PDFs have their own token counts, whatever the length of their data. */
export const withoutFiles = (_: string, value: unknown): unknown =>
  Predicate.hasProperty(value, "type") && value.type === "base64" ? null : value

/** The tokens of files: what most of them have, and the most that is reserved for them. */
export interface FileTokens {
  readonly expected: number
  readonly most: number
}

/** The tokens of the images and PDFs of a request. `most` is a bound for images, and an estimate for PDFs. */
export const tokensOfFiles = (messages: MessageRequest["messages"], model: string): FileTokens => {
  let expected = 0
  let most = 0
  for (const { content } of messages) {
    if (typeof content === "string") continue
    for (const block of content) {
      const file = fileIn(block)
      if (file === undefined) continue
      const tokens = file._tag === "Pdf" ? tokensOfPdf(file.pages, model) : tokensOfImage(file, model)
      expected += tokens.expected
      most += tokens.most
    }
  }
  return { expected, most }
}

type File =
  | { readonly _tag: "Pdf"; readonly pages: number }
  /** The size is 0 where the header does not have it. */
  | { readonly _tag: "Image"; readonly width: number; readonly height: number }

/** A request is measured several times, and decoding a large file takes a while. */
const measured = new WeakMap<Schema.JsonObject, File>()

const fileIn = (block: Schema.JsonObject): File | undefined => {
  const known = measured.get(block)
  if (known !== undefined) return known
  const { source, type } = block
  if (!Predicate.hasProperty(source, "type") || source.type !== "base64") return undefined
  const data = Predicate.hasProperty(source, "data") && typeof source.data === "string" ? source.data : ""
  const bytes = Buffer.from(data, "base64")
  const file: File = type === "document" ? { _tag: "Pdf", pages: pagesOf(bytes) } : { _tag: "Image", ...sizeOf(bytes) }
  measured.set(block, file)
  return file
}

const sizeOf = (bytes: Uint8Array): { readonly width: number; readonly height: number } => {
  try {
    const { height, width } = imageSize(bytes)
    return { height, width }
  } catch {
    return { height: 0, width: 0 }
  }
}

/**
 * Claude's models see an image in squares of 28 x 28 pixels, and each is a token. They scale larger images down to one of two
 * limits: https://platform.claude.com/docs/en/build-with-claude/vision
 */
const square = 28
const limits = { high: { edge: 2576, tokens: 4784 }, standard: { edge: 1568, tokens: 1568 } }

/** Claude 4.7 and later models have the higher limit. */
const limitsOf = (model: string) =>
  /^claude-(?:3|haiku-4|sonnet-4|opus-4(?!-[78]))/.test(model) ? limits.standard : limits.high

const isClaude = (model: string): boolean => model.startsWith("claude-")

/** For the rounding of a scaled size, and for the marks around a file. */
const withMargin = (tokens: number): number => Math.ceil(tokens * 1.05) + 20

/** What OpenAI's smallest models bill for the largest image. They bill the most of all models. */
const mostElsewhere = 50_000

const tokensOfImage = ({ height, width }: Extract<File, { _tag: "Image" }>, model: string): FileTokens => {
  const { edge, tokens: limit } = limitsOf(model)
  const scale = Math.min(1, edge / Math.max(width, height, 1))
  const squares = Math.ceil((width * scale) / square) * Math.ceil((height * scale) / square)
  const tokens = squares === 0 ? limit : Math.min(limit, squares)
  return { expected: tokens, most: isClaude(model) ? withMargin(tokens) : mostElsewhere }
}

/**
 * A page counts with its text and as an image: https://platform.claude.com/docs/en/build-with-claude/pdf-support states 1,500 to
 * 3,000 tokens for the text of a page. Pages of a book were measured at 2,350 tokens in all, their images at 1,600 of these.
 */
const page = { expected: 2350, text: 3000 }

const tokensOfPdf = (pages: number, model: string): FileTokens => ({
  expected: pages * page.expected,
  most: pages * (page.text + withMargin(limitsOf(model).tokens))
})

/** The size of a small page, for files whose pages cannot be counted, such as encrypted ones. */
const bytesOfPage = 3000

/** The most pages that the API accepts. */
const mostPages = 600

const pagesOf = (bytes: Buffer): number => {
  const text = bytes.toString("latin1")
  let pages = pagesIn(text)
  // Newer files have their pages in compressed streams of objects.
  for (const { index } of text.matchAll(/\/Type\s*\/ObjStm\b/g)) {
    const start = /stream\r?\n/g
    start.lastIndex = index
    if (start.exec(text) === null) continue
    const end = text.indexOf("endstream", start.lastIndex)
    pages += pagesIn(inflated(bytes.subarray(start.lastIndex, end < 0 ? undefined : end)))
  }
  return pages > 0 ? pages : Math.min(mostPages, Math.ceil(bytes.length / bytesOfPage))
}

const pagesIn = (text: string): number => text.match(/\/Type\s*\/Page\b(?!s)/g)?.length ?? 0

const inflated = (bytes: Uint8Array): string => {
  try {
    // The end of the data can have a line break that is not a part of it.
    return inflateSync(bytes, { maxOutputLength: 16 * 1024 * 1024 }).toString("latin1")
  } catch {
    return ""
  }
}
