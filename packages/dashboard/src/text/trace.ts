/** The id of the trace of an attempt, from its W3C trace context; undefined where its worker had no tracer. */
export const traceOf = ({
  executionMetadata: { traceparent }
}: {
  readonly executionMetadata: Readonly<Record<string, unknown>>
}): string | undefined =>
  typeof traceparent === "string" ? /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(traceparent)?.[1] : undefined
