/** Extracts the commands from shell code in the documentation; parses just enough to separate words and operators. */

/** A word, or null for an operator or the end of a line. */
type Token = string | null

const tokens = (code: string): ReadonlyArray<Token> => {
  const found: Array<Token> = []
  let word: string | null = null
  let at = 0
  const end = () => {
    if (word !== null) found.push(word)
    word = null
  }
  while (at < code.length) {
    const char = code.charAt(at)
    if (char === "\\" && code.charAt(at + 1) === "\n") at += 2
    else if (char === "\\") {
      word = (word ?? "") + code.charAt(at + 1)
      at += 2
    } else if (char === "'" || char === '"') {
      let close = at + 1
      while (close < code.length && code.charAt(close) !== char)
        close += char === '"' && code.charAt(close) === "\\" ? 2 : 1
      if (close >= code.length) throw new Error(`a quote is not closed: ${code.slice(at, at + 40)}`)
      word = (word ?? "") + code.slice(at + 1, close)
      at = close + 1
    } else if (char === "#" && word === null) {
      const line = code.indexOf("\n", at)
      at = line < 0 ? code.length : line
    } else if (/\s/.test(char)) {
      end()
      if (char === "\n") found.push(null)
      at++
    } else if ("|&;<>".includes(char)) {
      // `2>file`: the number belongs to the operator.
      if (char === ">" && /^\d$/.test(word ?? "")) word = null
      end()
      found.push(null)
      at++
    } else {
      word = (word ?? "") + char
      at++
    }
  }
  end()
  return found
}

/** The arguments of every call of `baton`, however it is started; other programs are ignored. */
export const batonLines = (code: string): ReadonlyArray<ReadonlyArray<string>> => {
  const commands: Array<Array<string>> = [[]]
  const substitutions: Array<string> = []
  const rest = withoutHereDocuments(code).replaceAll(/\$\(([^()]*)\)/g, (_, inner: string) => {
    substitutions.push(inner)
    return "SUBSTITUTED"
  })
  for (const token of tokens([rest, ...substitutions].join("\n"))) {
    if (token === null) commands.push([])
    else commands.at(-1)?.push(token)
  }
  return commands.flatMap((words) => {
    const start = words.findIndex((word) => !/^[A-Z_]+=/.test(word) && !runners.has(word))
    return words[start] === "baton" ? [words.slice(start + 1)] : []
  })
}

/** Words that can precede the name of a program. */
const runners = new Set(["npx", "-y", "pnpm@12", "nohup", "exec", "time", "sudo", "if", "then", "do", "!", "{", "("])

const withoutHereDocuments = (code: string) => code.replaceAll(/<<-?\s*(['"]?)(\w+)\1(.*)\n[\s\S]*?\n\2\n/g, "$3\n")
