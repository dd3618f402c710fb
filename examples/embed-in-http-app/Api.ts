/** The HTTP API: add an article, read results, wait for the translation of its summary. */
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup } from "effect/http-api"

export class ArticleNotFound extends Schema.TaggedError<ArticleNotFound>()(
  "ArticleNotFound",
  { id: Schema.String, message: Schema.String },
  { httpApiStatus: 404 }
) {}

/** The work ended without a result. */
export class NotTranslated extends Schema.TaggedError<NotTranslated>()(
  "NotTranslated",
  { id: Schema.String, message: Schema.String },
  { httpApiStatus: 422 }
) {}

/** The id exists with another text or language. */
export class ArticleExists extends Schema.TaggedError<ArticleExists>()(
  "ArticleExists",
  { id: Schema.String, message: Schema.String },
  { httpApiStatus: 409 }
) {}

const id = { id: Schema.NonEmptyString }

export class Articles extends HttpApiGroup.make("articles")
  .add(
    HttpApiEndpoint.post("add", "/", {
      payload: Schema.Struct({ ...id, text: Schema.NonEmptyString, language: Schema.NonEmptyString }),
      success: Schema.Struct({ ...id, isNew: Schema.Boolean }),
      error: ArticleExists
    }),
    HttpApiEndpoint.get("get", "/:id", {
      params: id,
      success: Schema.Struct({ summary: Schema.NullOr(Schema.String), translation: Schema.NullOr(Schema.String) }),
      error: [ArticleNotFound, NotTranslated]
    }),
    HttpApiEndpoint.get("translation", "/:id/translation", {
      params: id,
      success: Schema.String,
      error: [ArticleNotFound, NotTranslated]
    })
  )
  .prefix("/articles") {}

export class Api extends HttpApi.make("articles-api").add(Articles) {}
