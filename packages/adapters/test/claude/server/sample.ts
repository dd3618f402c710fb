import { isObject, type Json } from "./http.ts"

/** A value that matches a JSON schema: the server's answer to a request for structured output without a script. */
export const sample = (schema: unknown, root: unknown = schema): unknown => {
  if (!isObject(schema)) return null
  if (typeof schema.$ref === "string") return sample(resolve(schema.$ref, root), root)
  if (schema.const !== undefined) return schema.const
  if (Array.isArray(schema.enum)) return schema.enum[0]
  const choices = schema.anyOf ?? schema.oneOf
  if (Array.isArray(choices)) return sample(choices[0], root)
  if (Array.isArray(schema.allOf)) {
    const { allOf, ...rest } = schema
    return sample(Object.assign({}, rest, ...allOf.filter(isObject)), root)
  }
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case "object":
      return isObject(schema.properties)
        ? Object.fromEntries(Object.entries(schema.properties).map(([name, value]) => [name, sample(value, root)]))
        : {}
    case "array":
      return Number(schema.minItems) > 0 ? [sample(schema.items, root)] : []
    case "boolean":
      return true
    case "number":
    case "integer":
      return 1
    case "string":
      return "text"
    default:
      return null
  }
}

const resolve = (reference: string, root: unknown): unknown =>
  reference
    .replace(/^#\//, "")
    .split("/")
    .reduce<unknown>((value, name) => (isObject(value) ? (value as Json)[name] : undefined), root)
