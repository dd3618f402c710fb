/** The file of `--token-file`: the tokens that a server accepts, with their roles. */
import { BatonApi, type BatonServer } from "@baton/adapters/http"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { ServeFlags } from "../settings/flags.ts"
import { CommandFailed } from "../system/CommandFailed.ts"

const minTokenLength = 16
const maxNameLength = 100

const isToken = (text: string): boolean => text.length >= minTokenLength && /^[\x21-\x7e]+$/.test(text)

const isRole = Schema.is(BatonApi.Role)

const roles = BatonApi.Role.literals.join(", ")

/** Why a line is refused. It is not repeated, because it can contain a token. */
const problemOf = (role: string, token: string, name: string): string | undefined => {
  if (!isRole(role)) return `begins with an unknown role; the roles are ${roles}`
  if (name.length > maxNameLength) return `has a name of more than ${maxNameLength} characters`
  return isToken(token) ? undefined : `has no token of at least ${minTokenLength} characters`
}

/**
 * Reads the tokens: one a line, after its role, and before the name of the person whose token it is, which can be left out. A
 * token without a role permits everything.
 */
export const readTokens = Effect.fnUntraced(function* ({
  by,
  value: path
}: NonNullable<ServeFlags["tokenFile"]>): Effect.fn.Return<
  ReadonlyArray<BatonServer.Token>,
  CommandFailed,
  FileSystem.FileSystem
> {
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs.readFileString(path).pipe(
    Effect.mapError(
      ({ message, reason }) =>
        new CommandFailed({
          message: `${by} is "${path}", ${reason._tag === "NotFound" ? "which does not exist." : `which cannot be read: ${message}`}`
        })
    )
  )
  const fail = (problem: string) =>
    Effect.fail(
      new CommandFailed({
        message: `${problem} Write a role and a token to each line of ${path}, as in \`echo "view $(openssl rand -hex 32)" >> ${path}\`.`
      })
    )
  const tokens: Array<BatonServer.Token> = []
  for (const [index, line] of text.split("\n").entries()) {
    const words = line.trim().split(/\s+/)
    const [role = "", token = "", ...rest] = words.length === 1 ? ["operate", words[0]] : words
    const name = rest.join(" ")
    if (line.trim() === "" || line.startsWith("#")) continue
    const problem = problemOf(role, token, name)
    if (problem !== undefined) return yield* fail(`Line ${index + 1} of the file of ${by} ${problem}.`)
    if (isRole(role)) tokens.push({ role, token: Redacted.make(token), ...(name === "" ? undefined : { name }) })
  }
  return tokens.length > 0 ? tokens : yield* fail(`The file of ${by} contains no token.`)
})
