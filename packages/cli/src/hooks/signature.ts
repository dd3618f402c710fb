/**
 * Signs webhooks as specified by Standard Webhooks 1.0, so that receivers can verify them with any of its libraries.
 */
import * as Redacted from "effect/Redacted"
import { createHmac } from "node:crypto"

/** A signing key; redacted, so it is never printed. */
export type Key = Redacted.Redacted<Uint8Array>

const prefix = "whsec_"

/**
 * Reads a key from `whsec_` and 24 to 64 bytes in base64; the prefix is optional. Undefined if the secret is invalid.
 */
export const keyOf = (secret: Redacted.Redacted<string>): Key | undefined => {
  const text = Redacted.value(secret).trim()
  const base64 = text.startsWith(prefix) ? text.slice(prefix.length) : text
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined
  const bytes = Buffer.from(base64, "base64")
  return bytes.length < 24 || bytes.length > 64 ? undefined : Redacted.make(new Uint8Array(bytes))
}

/** The value of the `webhook-signature` header for a message. */
export const signatureOf = (
  key: Key,
  message: { readonly id: string; readonly timestamp: number; readonly body: string }
): string => {
  const hmac = createHmac("sha256", Redacted.value(key))
  return `v1,${hmac.update(`${message.id}.${message.timestamp}.${message.body}`).digest("base64")}`
}
