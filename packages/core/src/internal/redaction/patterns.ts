/** What stands in the place of a secret. */
export const mark = "[redacted]"

// Every expression here has to take linear time on any text, as programs choose what they print. So nothing that repeats
// without an end is followed by something that can fail, unless it stops at what cannot be part of it; and what starts in
// the middle of a word is not tried again at each of its letters.

// In URLs and in JSON inside JSON, a letter may stand right in front of a word: `%3Dsk-...`, `\nsk-...`.
const wordStart = String.raw`(?:(?<![\w-])|(?<=%[\dA-Fa-f]{2})|(?<=\\[nrt]))`

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
      String.raw`A[KS]IA[A-Z\d]{16}(?!\w)` // AWS
    ].join("|")})`,
  "g"
)

/** Header, payload and signature of a JSON Web Token. */
const jwts = new RegExp(`${wordStart}(?<!\\.)eyJ[\\w-]{8,}\\.[\\w-]{8,}(?:\\.[\\w-]*)?`, "g")

const bearers = /(?<!\w)((?:bearer|basic)[ \t]{1,4}["']?)([\w.~+/=-]{12,})/gi

/** The password in `scheme://user:password@host`. */
const logins = /(:\/\/[^\s/:@]{0,256}:)([^\s/@]{1,1024})(?=@)/g

/** What stands in front of a value: `name=`, `"name": `, `?name=`. */
const names = /(?:(?<![\w-])|(?=[?&]))([?&]?[\w-]{1,64})(["']?[ \t]{0,4}[=:][ \t]{0,4}["']?)/g

const value = /[^\s"'&;,<>(){}]{6,}/y

const secretName =
  /(?:(?:api|access|auth|secret|private|client|account|session|refresh|bearer|signing|encryption)[_-]?(?:key|token|secret)|passw(?:or)?d|passphrase)$/i

// In the query of a URL, and as a variable of the environment, shorter names are clear enough.
const secretParameter =
  /^[?&](?:key|token|secret|sig|signature|auth|pwd|x-amz-(?:signature|credential|security-token))$/i
const secretVariable = /^[A-Z\d_]+_(?:KEY|TOKEN|SECRET|PWD)$/

/** Whether a value of this name is a secret, whatever it looks like. */
export const isSecretName = (name: string): boolean => name.length <= 64 && secretName.test(name)

// The body ends at the next five dashes: those of its end, or of the next key where the end is missing.
const pems =
  /(-----BEGIN [A-Z\d ]{0,40}PRIVATE KEY-----)[^-]*(?:-(?!----)[^-]*)*(?:-----END [A-Z\d ]{0,40}PRIVATE KEY-----)?/g

// Of a text that was cut, the beginning may be missing.
const pemEnd = /^[\w+/=\s]*-----END [A-Z\d ]{0,40}PRIVATE KEY-----/

// Part of everything above, and of few texts: most are looked through once.
const suspicious =
  /sk-|k_live_|k_test_|gh[oprsu]_|_pat_|glpat-|xox|npm_|hf_|aiza|a[ks]ia|eyj|private key|:\/\/|bearer|basic|(?:key|token|secret|passw(?:or)?d|passphrase|pwd|sig|signature|credential|auth)["']?[ \t]{0,4}[=:]/i

/** Replaces everything in a text that has the shape of a secret. */
export const redactShapes = (text: string): string => (suspicious.test(text) ? redactAll(text) : text)

const redactAll = (text: string): string =>
  redactValues(
    text
      .replace(pems, `$1${mark}`)
      .replace(pemEnd, mark)
      .replace(keys, mark)
      .replace(jwts, mark)
      .replace(bearers, `$1${mark}`)
      .replace(logins, `$1${mark}`)
  )

// What follows a name that says nothing is looked at again: in `error: password=...`, it begins with another name.
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
