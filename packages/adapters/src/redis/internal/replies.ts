import { UnreadableReply } from "./errors.ts"

/** What a server may answer; each reader throws what is not as expected. */
export type Reply = unknown

const unreadable = (expected: string): never => {
  // Turned into an error by `Connection.run`, where all readers are called.
  throw new UnreadableReply({ message: `a reply is no ${expected}` })
}

export const array = (reply: Reply): ReadonlyArray<Reply> => (Array.isArray(reply) ? reply : unreadable("array"))

export const text = (reply: Reply): string => (typeof reply === "string" ? reply : unreadable("text"))

/** Numbers come as such from scripts, and as text from the keys themselves. */
export const number = (reply: Reply): number => {
  const found = typeof reply === "string" && reply !== "" ? Number(reply) : reply
  return typeof found === "number" && Number.isSafeInteger(found) ? found : unreadable("number")
}

export const optional =
  <A>(read: (reply: Reply) => A) =>
  (reply: Reply): A | undefined =>
    reply === null || reply === undefined ? undefined : read(reply)

/** Splits into groups of `size`. */
export const grouped = (replies: ReadonlyArray<Reply>, size: number): ReadonlyArray<ReadonlyArray<Reply>> =>
  Array.from({ length: replies.length / size }, (_, index) => replies.slice(index * size, (index + 1) * size))
