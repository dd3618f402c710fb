/** The queue that the tasks of a source are in, unless `--queue` names another one. */
import { defaultQueue } from "@baton/core/Task"
import { isAbsolute, normalize, parse, relative } from "node:path"

const longest = 100

/**
 * The path of the file without its extension: `prompts` for `./prompts.csv`, `en/prompts` for `en/prompts.csv`. A file
 * outside of the working directory counts by its name alone. A pattern of `--each` and a repository are the name themselves.
 * Standard input and pipes, which have no name that stays the same, are in the queue `default`.
 */
export const queueOf = (source: string): string => {
  if (source === "-" || /^\/(?:dev|proc)\//.test(source)) return defaultQueue
  const [, named] = /^(?:each|github):(.*)$/s.exec(source) ?? []
  if (named !== undefined) return nameOf(named)
  const path = normalize(isAbsolute(source) ? relative(process.cwd(), source) : source)
  const { base, dir, name } = parse(path)
  const isOutside = dir === ".." || dir.startsWith(`..`) || isAbsolute(dir)
  return nameOf(dir === "" || isOutside ? name || base : `${dir}/${name}`)
}

const nameOf = (text: string): string => {
  const queue = text.replaceAll(/[\p{C}]/gu, "_")
  return queue === "" ? defaultQueue : queue.slice(-longest)
}
