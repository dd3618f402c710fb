/** The issues of a GitHub repository, as a source: `github:owner/repo?label=bug`. */
import { request } from "@octokit/request"
import { RequestError } from "@octokit/request-error"
import * as Config from "effect/Config"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { moment } from "../system/moment.ts"
import * as SourceError from "./SourceError.ts"

/** The parameters of the URL, and their names in GitHub's API. */
const parameters = {
  label: "labels",
  state: "state",
  assignee: "assignee",
  creator: "creator",
  milestone: "milestone",
  since: "since"
} as const

type Parameter = keyof typeof parameters

const isParameter = (name: string): name is Parameter => Object.hasOwn(parameters, name)

interface Repository {
  readonly owner: string
  readonly repo: string
  readonly query: Readonly<Record<string, string>>
}

/** Reads `owner/repo?label=bug&label=urgent&state=all`. */
const parse = (source: string): Effect.Effect<Repository, SourceError.SourceError> =>
  Effect.gen(function* () {
    const [, owner, repo, search = ""] = /^([\w.-]+)\/([\w.-]+)(?:\?(.*))?$/s.exec(source.slice("github:".length)) ?? []
    if (owner === undefined || repo === undefined) {
      return yield* SourceError.make(
        source,
        null,
        "is not a repository; write github:OWNER/REPO, such as github:acme/site"
      )
    }
    const query: Record<string, string> = {}
    for (const [name, value] of new URLSearchParams(search)) {
      if (!isParameter(name)) {
        const known = Object.keys(parameters).join(", ")
        return yield* SourceError.make(source, null, `has an unknown parameter "${name}"; the parameters are ${known}`)
      }
      const key = parameters[name]
      query[key] = name === "label" && query[key] !== undefined ? `${query[key]},${value}` : value
    }
    return { owner, repo, query }
  })

const Named = Schema.Struct({ name: Schema.optionalKey(Schema.NullOr(Schema.String)) })

/** The fields of an issue that Baton reads. A pull request is an issue with `pull_request`. */
const Issue = Schema.Struct({
  number: Schema.Int,
  title: Schema.String,
  body: Schema.optionalKey(Schema.NullOr(Schema.String)),
  html_url: Schema.String,
  labels: Schema.Array(Schema.Union([Schema.String, Named])),
  user: Schema.optionalKey(Schema.NullOr(Schema.Struct({ login: Schema.String }))),
  pull_request: Schema.optionalKey(Schema.Unknown)
})

const decodeIssues = Schema.decodeUnknownEffect(Schema.Array(Issue))

/**
 * The records of the issues, the oldest first, without pull requests: `number`, `title`, `body`, `url`, `labels` and
 * `author`. Without a template, title and body are the description. The number is the id.
 */
export const records = (
  source: string,
  template: string | undefined
): Stream.Stream<Schema.JsonObject, SourceError.SourceError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const repository = yield* parse(source)
      const token = yield* Effect.orElseSucceed(tokenConfig, () => undefined)
      const baseUrl = yield* Effect.orElseSucceed(baseUrlConfig, () => "https://api.github.com")
      const page = pageOf({ source, repository, baseUrl, token })
      return Stream.paginate(1, (number) =>
        Effect.map(page(number), ({ hasNext, issues }) => [issues, hasNext ? Option.some(number + 1) : Option.none()])
      ).pipe(
        Stream.filter((issue) => issue.pull_request === undefined),
        Stream.map((issue) => recordOf(issue, template))
      )
    })
  )

const recordOf = (
  { body, html_url, labels, number, title, user }: typeof Issue.Type,
  template: string | undefined
) => ({
  id: String(number),
  ...(template === undefined ? { description: body ? `${title}\n\n${body}` : title } : { body: body ?? "" }),
  number,
  title,
  url: html_url,
  labels: labels.flatMap((label) => (typeof label === "string" ? [label] : label.name ? [label.name] : [])),
  author: user?.login ?? null
})

/** The variables that GitHub's own tools read. */
const tokenConfig = Config.Redacted("GH_TOKEN").pipe(Config.orElse(() => Config.Redacted("GITHUB_TOKEN")))
const baseUrlConfig = Config.NonEmptyString("GITHUB_API_URL")

const pageOf = (about: {
  readonly source: string
  readonly repository: Repository
  readonly baseUrl: string
  readonly token: Redacted.Redacted | undefined
}) => {
  const { baseUrl, repository, source, token } = about
  const { owner, query, repo } = repository
  const client = request.defaults({
    baseUrl,
    headers: {
      "user-agent": "baton",
      ...(token === undefined ? {} : { authorization: `Bearer ${Redacted.value(token)}` })
    }
  })
  return Effect.fnUntraced(function* (page: number) {
    const response = yield* Effect.tryPromise({
      try: (signal) =>
        client("GET /repos/{owner}/{repo}/issues", {
          owner,
          repo,
          ...query,
          sort: "created",
          direction: "asc",
          per_page: 100,
          page,
          request: { signal }
        }),
      catch: (cause) => SourceError.make(source, null, describe(cause, token !== undefined))
    })
    const issues = yield* Effect.mapError(decodeIssues(response.data), () =>
      SourceError.make(source, null, `cannot be read: ${baseUrl} answered with something else than a list of issues`)
    )
    return { issues, hasNext: /rel="next"/.test(response.headers.link ?? "") }
  })
}

const describe = (cause: unknown, hasToken: boolean): string => {
  if (!(cause instanceof RequestError)) return `cannot be read: ${String(cause)}`
  const { response, status } = cause
  const header = (name: string) => response?.headers[name]
  if (response === undefined) return "cannot be read: GitHub cannot be reached"
  if (status === 429 || (status === 403 && (header("x-ratelimit-remaining") === "0" || header("retry-after")))) {
    const seconds = Number(header("retry-after"))
    const reset = Number(header("x-ratelimit-reset"))
    const when =
      seconds > 0 ? ` Try again in ${seconds} seconds.` : reset > 0 ? ` Try again after ${timeOf(reset)}.` : ""
    return `cannot be read now: the rate limit of GitHub is used up.${when}${hasToken ? "" : " With a token in GITHUB_TOKEN, the limit is higher."}`
  }
  if (status === 401)
    return "cannot be read: GitHub does not accept the token in GH_TOKEN or GITHUB_TOKEN; set a valid one"
  if (status === 404 || status === 403) {
    return hasToken
      ? "does not exist, or the token in GH_TOKEN or GITHUB_TOKEN may not read its issues"
      : "does not exist, or is private; for a private repository, set GITHUB_TOKEN"
  }
  return `cannot be read: GitHub answered ${status} (${cause.message})`
}

const timeOf = (seconds: number): string => moment(DateTime.toUtc(DateTime.makeUnsafe(seconds * 1000)))
