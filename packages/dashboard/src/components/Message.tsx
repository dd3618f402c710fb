/** What a page shows instead of data: nothing yet, or an error. */
import type { ReactNode } from "react"

export const Empty = ({ children, title }: { readonly title: string; readonly children?: ReactNode }) => (
  <div className="empty">
    <h2>{title}</h2>
    {children}
  </div>
)

/** A command to type. */
export const Command = ({ children }: { readonly children: string }) => (
  <pre className="command">
    <span aria-hidden="true">$ </span>
    {children}
  </pre>
)

export const Failure = ({ error, onRetry }: { readonly error: Error; readonly onRetry?: (() => void) | undefined }) => (
  <div className="empty" role="alert">
    <h2>This cannot be shown now</h2>
    <p>{error.message}</p>
    {onRetry && (
      <button type="button" className="button" onClick={onRetry}>
        Try again
      </button>
    )}
  </div>
)

export const Loading = () => (
  <div className="loading" role="status">
    Loading …
  </div>
)

/** What a page shows while a query has no data. */
export const LoadingOrFailure = ({
  query
}: {
  readonly query: { readonly error: Error | null; readonly refetch: () => unknown }
}) => (query.error === null ? <Loading /> : <Failure error={query.error} onRetry={() => void query.refetch()} />)
