import type { MessageRequest } from "./MessageRequest.ts"
import { tokensOfFiles } from "./files.ts"
import * as Pricing from "./Pricing.ts"
import type { Reply } from "./Reply.ts"
import { tokenBound } from "./tokenBound.ts"

/**
 * Bounds of the input that become tighter with each reply. All tokens that were billed for one request are an upper bound of
 * the part that the next request has in common with it, because the tokens of a word do not depend on the words around it.
 * New text counts with its bytes, or with `tokenBound` once replies have confirmed it.
 */
export interface InputBounds {
  readonly of: (request: MessageRequest) => Pricing.InputBound
  /** A number that changes when bounds become tighter. */
  readonly revision: () => number
  /** Whether a reply has made the bound of this request tighter. */
  readonly isLearnedFor: (request: MessageRequest) => boolean
  readonly learn: (request: MessageRequest, reply: Reply) => void
}

/** Tokens at the boundaries between what two requests have in common and where they differ. */
const margin = 8

/** Common texts have fewer bytes per token. It limits the harm of a gateway that counts too little. */
const mostBytesPerToken = 8

/** A model's `tokenBound` is used after this many replies, if none of them had more than this share of it. */
const confirmations = 3
const mostShare = 0.9

export const make = (): InputBounds => {
  let learned:
    | { readonly from: MessageRequest; readonly text: string; readonly messages: number; readonly tokens: number }
    | undefined
  let revision = 0
  /** How many replies of a model confirmed `tokenBound`; negative infinity after one that did not. */
  const confirmed = new Map<string, number>()

  const isLearnedFor = (request: MessageRequest): boolean =>
    learned !== undefined &&
    learned.from.model === request.model &&
    learned.from.system === request.system &&
    learned.from.output_config === request.output_config &&
    learned.from.thinking === request.thinking

  return {
    isLearnedFor,
    revision: () => revision,
    of: (request) => {
      const bytes = Pricing.inputBound(request)
      const isConfirmed = (confirmed.get(request.model) ?? 0) >= confirmations
      const messages = isConfirmed ? Math.min(bytes.messages, messagesBound(request)) : bytes.messages
      if (learned === undefined || !isLearnedFor(request)) return { ...bytes, messages }
      const text = Pricing.messagesText(request.messages)
      const different = differentBytes(learned.text, text)
      const least = Math.ceil((bytes.fixed + text.length - different) / mostBytesPerToken)
      const bound = {
        fixed: Math.max(least, learned.tokens + margin),
        messages: Math.min(messages, different + tokensOfFiles(request.messages, request.model).most)
      }
      return bound.fixed + bound.messages < bytes.fixed + messages ? bound : { ...bytes, messages }
    },
    learn: (request, { cached, usage }) => {
      // The usage includes the results of tools, whose number differs.
      if (usage === undefined || cached || request.tools !== undefined) return
      const tokens = usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens
      if (tokens === 0) return
      const count = confirmed.get(request.model) ?? 0
      if (count < confirmations || tokens > messagesBound(request)) {
        // A prompt with a common part has more tokens than its messages alone.
        const isWithin = tokens <= mostShare * (messagesBound(request) + fixedBound(request))
        confirmed.set(request.model, isWithin ? count + 1 : -Infinity)
        revision++
      }
      const { messages } = Pricing.inputBound(request)
      const text = Pricing.messagesText(request.messages)
      // The reply to the shortest messages has the tightest bound.
      const isTighter =
        learned === undefined ||
        !isLearnedFor(request) ||
        messages < learned.messages ||
        (messages === learned.messages && tokens > learned.tokens)
      if (!isTighter) return
      learned = { from: request, text, messages, tokens }
      revision++
    }
  }
}

/** The bytes of a text without the beginning and the end that it shares with another one, up to whole words. */
const differentBytes = (from: string, to: string): number => {
  const most = Math.min(from.length, to.length)
  let start = 0
  while (start < most && from.charCodeAt(start) === to.charCodeAt(start)) start++
  let end = 0
  while (end < most - start && from.charCodeAt(from.length - 1 - end) === to.charCodeAt(to.length - 1 - end)) end++
  const before = Math.max(to.lastIndexOf(" ", start - 1), 0)
  const after = to.indexOf(" ", to.length - end)
  return Pricing.bytesOf(to.slice(before, after < 0 ? to.length : after))
}

/** The bound is read when a request is sent and when its reply arrives. */
const messagesBounds = new WeakMap<MessageRequest, number>()

const messagesBound = (request: MessageRequest): number => {
  const known = messagesBounds.get(request)
  if (known !== undefined) return known
  const bound = tokenBound(JSON.stringify(request.messages, null, 2))
  messagesBounds.set(request, bound)
  return bound
}

/** Without what the API adds, so that a tokenizer with more tokens is noticed in short requests too. */
const fixedBound = ({ output_config, system }: MessageRequest): number =>
  tokenBound(JSON.stringify([system, output_config], null, 2))
