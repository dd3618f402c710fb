import type { ModelError } from "./ModelError.ts"

/** Whether another model may answer where this one did not: it is overloaded, or its provider's filter refused the prompt. */
export const isForAnother = ({ status, type }: ModelError): boolean =>
  status === 529 || status === 503 || type === "overloaded_error" || type === "content_filter"
