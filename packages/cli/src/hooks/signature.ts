/**
 * Signs webhooks as Standard Webhooks 1.0 has it, so that a receiver can check with any of its libraries who sent them.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import { createHmac } from "node:crypto"

/** A key, of which nothing can be printed. */
export type Key = Redacted.Redacted<Uint8Array>

const prefix = "whsec_"

/**
 * The key in a secret: `whsec_` and 24 to 64 bytes in base64; the prefix can be left out. Undefined when it is none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const keyOf = (secret: Redacted.Redacted<string>): Key | undefined => {
  const text = Redacted.value(secret).trim()
  const base64 = text.startsWith(prefix) ? text.slice(prefix.length) : text
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined
  const bytes = Buffer.from(base64, "base64")
  return bytes.length < 24 || bytes.length > 64 ? undefined : Redacted.make(new Uint8Array(bytes))
}

/**
 * What `webhook-signature` has to be for a message.
 *
 * @category getters
 * @since 0.1.0
 */
export const signatureOf = (
  key: Key,
  message: { readonly id: string; readonly timestamp: number; readonly body: string }
): string => {
  const hmac = createHmac("sha256", Redacted.value(key))
  return `v1,${hmac.update(`${message.id}.${message.timestamp}.${message.body}`).digest("base64")}`
}
