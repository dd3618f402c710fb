import { base } from "../base.ts"
import { Component, type ReactNode } from "react"

interface Props {
  readonly children: ReactNode
}

/** Shows an error of the page itself, so that the page is never blank. */
export class ErrorBoundary extends Component<Props, { readonly error: unknown }> {
  override state = { error: undefined }

  static getDerivedStateFromError(error: unknown) {
    return { error }
  }

  override render() {
    return this.state.error === undefined ? this.props.children : <PageError error={this.state.error} />
  }
}

export const PageError = ({ error }: { readonly error: unknown }) => (
  <div className="empty" role="alert">
    <h1>This page has an error</h1>
    <p>The tasks are not affected. Reload the page; if the error remains, please report it with this text:</p>
    <pre className="output">{error instanceof Error ? (error.stack ?? error.message) : String(error)}</pre>
    <p>
      <button type="button" className="button" onClick={() => location.reload()}>
        Reload
      </button>{" "}
      <a href={base}>All queues</a>
    </p>
  </div>
)
