/** Replaces a secret. */
export const mark = "[redacted]"

// Programs choose the text, so every expression must take linear time on any text. An unbounded repetition is followed by
// something that can fail only if it ends at a character outside of its character class. An expression that starts inside of a
// word is not tried at each letter of the word.

// In URLs and in JSON inside of JSON, a word can follow a letter: `%3Dsk-...`, `\nsk-...`.
const wordStart = String.raw`(?:(?<![\w-])|(?<=%[\dA-Fa-f]{2})|(?<=\\[nrt]))`

// The shapes follow the rules of gitleaks (config/gitleaks.toml) and the documentation of the services.
const keys = new RegExp(
  String.raw`sk-ant-[\w-]{20,}|` +
    wordStart +
    `(?:${[
      String.raw`sk-[\w-]{20,}`, // OpenAI, OpenRouter
      String.raw`[srp]k_(?:live|test)_\w{16,}`, // Stripe
      String.raw`gh[oprsu]_\w{20,}`, // GitHub
      String.raw`github_pat_\w{20,}`,
      String.raw`glpat-[\w-]{20,}`, // GitLab
      String.raw`xox[a-z]-[\w-]{10,}`, // Slack
      String.raw`npm_\w{30,}`,
      String.raw`hf_\w{30,}`, // Hugging Face
      String.raw`AIza[\w-]{30,}`, // Google
      String.raw`gsk_\w{40,}`, // Groq
      String.raw`xai-\w{40,}`,
      String.raw`pplx-\w{40,}`, // Perplexity
      String.raw`lin_api_\w{32,}`, // Linear
      String.raw`ntn_\w{40,}`, // Notion
      String.raw`dckr_pat_[\w-]{20,}`, // Docker
      String.raw`glsa_\w{30,}`, // Grafana
      String.raw`do[opr]_v1_[a-f\d]{40,}`, // DigitalOcean
      String.raw`shp(?:at|ca|pa|ss)_[A-Fa-f\d]{32}`, // Shopify
      String.raw`pypi-[\w-]{50,}`,
      String.raw`SG\.[\w-]{16,64}\.[\w-]{16,64}`, // SendGrid
      String.raw`A[KS]IA[A-Z\d]{16}(?!\w)` // AWS
    ].join("|")})`,
  "g"
)

/** Header, payload and signature of a JSON Web Token. */
const jwts = new RegExp(`${wordStart}(?<!\\.)eyJ[\\w-]{8,}\\.[\\w-]{8,}(?:\\.[\\w-]*)?`, "g")

const bearers = /(?<!\w)((?:bearer|basic)[ \t]{1,4}["']?)([\w.~+/=-]{12,})/gi

/** The password in `scheme://user:password@host`. */
const logins = /(:\/\/[^\s/:@]{0,256}:)([^\s/@]{1,1024})(?=@)/g

/** Addresses that let everyone who knows them post a message: the part behind the host is the secret. */
const webhooks =
  /(\bhooks\.slack\.com\/(?:services|workflows|triggers)\/|\bdiscord(?:app)?\.com\/api\/webhooks\/|\.webhook\.office\.com\/)[\w@/-]{16,}/gi

/** The public key in the address of a Sentry project: `https://key@o1.ingest.sentry.io/2`. */
const sentryKeys = /(:\/\/)[a-f\d]{32}(?=@)/g

/** The pairs of a `Cookie` or `Set-Cookie` header, to the end of its line or string. */
const cookies = /(?<![\w-])((?:set-)?cookie["']?[ \t]{0,4}[:=][ \t]{0,4}["']?)(?=[\w.-]{1,64}=)[^\r\n"']{6,}/gi

/** The name before a value: `name=`, `"name": `, `?name=`. */
const names = /(?:(?<![\w-])|(?=[?&]))([?&]?[\w-]{1,64})(["']?[ \t]{0,4}[=:][ \t]{0,4}["']?)/g

const value = /[^\s"'&;,<>(){}]{6,}/y

const secretName =
  /(?:(?:api|access|auth|secret|private|client|account|session|refresh|bearer|signing|encryption)[_-]?(?:key|token|secret)|passw(?:or)?d|passphrase)$/i

// Shorter names are clear enough for a parameter of a URL or an environment variable.
const secretParameter =
  /^[?&](?:key|token|secret|sig|signature|auth|pwd|x-amz-(?:signature|credential|security-token))$/i
const secretVariable = /^[A-Z\d_]+_(?:KEY|TOKEN|SECRET|PWD|PASS|DSN)$/

/** Whether every value with this name is a secret. */
export const isSecretName = (name: string): boolean => name.length <= 64 && secretName.test(name)

/** Whether the value of an environment variable with this name is a secret. */
export const isSecretVariable = (name: string): boolean =>
  name.length <= 64 && (secretName.test(name) || secretVariable.test(name.toUpperCase()))

// The body ends at the next five dashes, which begin its last line, or the next key if that line is missing.
const pems =
  /(-----BEGIN [A-Z\d ]{0,40}PRIVATE KEY-----)[^-]*(?:-(?!----)[^-]*)*(?:-----END [A-Z\d ]{0,40}PRIVATE KEY-----)?/g

// A text that was cut may lack the beginning.
const pemEnd = /^[\w+/=\s]*-----END [A-Z\d ]{0,40}PRIVATE KEY-----/

// Matches a part of every expression above. Most texts do not match it and are searched once.
const suspicious =
  /sk-|k_live_|k_test_|gh[oprsu]_|_pat_|glpat-|xox|npm_|hf_|aiza|a[ks]ia|eyj|gsk_|xai-|pplx-|lin_api|ntn_|glsa_|_v1_|shp|pypi-|SG\.|private key|:\/\/|hooks\.|webhook|cookie|bearer|basic|(?:key|token|secret|passw(?:or)?d|passphrase|pwd|pass|dsn|sig|signature|credential|auth)["']?[ \t]{0,4}[=:]/i

/** Replaces the parts of a text that have the shape of a secret. */
export const redactShapes = (text: string): string => (suspicious.test(text) ? redactAll(text) : text)

const redactAll = (text: string): string =>
  redactValues(
    text
      .replace(pems, `$1${mark}`)
      .replace(pemEnd, mark)
      .replace(keys, mark)
      .replace(jwts, mark)
      .replace(bearers, `$1${mark}`)
      .replace(webhooks, `$1${mark}`)
      .replace(cookies, `$1${mark}`)
      .replace(sentryKeys, `$1${mark}`)
      .replace(logins, `$1${mark}`)
  )

// The text after a harmless name is searched again: in `error: password=...`, it begins with another name.
const redactValues = (text: string): string => {
  let redacted = ""
  let done = 0
  for (const { 0: front, 1: name = "", 2: between, index } of text.matchAll(names)) {
    if (index < done || !announces(name, between)) continue
    value.lastIndex = index + front.length
    if (!value.test(text)) continue
    redacted += text.slice(done, index + front.length) + mark
    done = value.lastIndex
  }
  return redacted + text.slice(done)
}

const announces = (name: string, between: string | undefined): boolean =>
  secretName.test(name) || secretParameter.test(name) || (between === "=" && secretVariable.test(name))
