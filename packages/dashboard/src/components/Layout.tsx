import { useQueryClient } from "@tanstack/react-query"
import { Link, Outlet, useLocation } from "@tanstack/react-router"
import { type SyntheticEvent, useEffect, useState } from "react"
import { RequestError } from "../api/client.ts"
import { start, useConnection } from "../api/live.ts"
import { useControl, useMay, useQueues } from "../api/queries.ts"
import * as Token from "../api/token.ts"
import { number } from "../text/format.ts"
import { workflowOf } from "../text/workflows.ts"
import { Pause, Play } from "./icons.tsx"
import { ThemeChoice } from "./theme.tsx"
import { base } from "../base.ts"
import { notify } from "./toasts.tsx"

const Connection = () => {
  const connection = useConnection()
  const label = { connecting: "Connecting", live: "Live", disconnected: "Disconnected" }[connection]
  return (
    <span className="connection" data-state={connection} role="status">
      {label}
    </span>
  )
}

/** Pauses or resumes all runs on the store. */
export const PauseButton = () => {
  const { data } = useQueues()
  const control = useControl()
  const mayPause = useMay("operate")
  if (data === undefined || !mayPause) return null
  const { paused } = data.control
  return (
    <button
      type="button"
      className="button"
      disabled={control.isPending}
      onClick={() =>
        control.mutate(paused ? "resume" : "pause", {
          onSuccess: () => notify(paused ? "All runs continue." : "All runs are paused. Running tasks finish."),
          onError: (error) => notify(error.message, "failed")
        })
      }
    >
      {paused ? <Play /> : <Pause />}
      {paused ? "Resume" : "Pause"}
    </button>
  )
}

const TokenForm = ({ onToken, wasRefused }: { readonly onToken: () => void; readonly wasRefused: boolean }) => {
  const [token, setToken] = useState("")
  const submit = (event: SyntheticEvent) => {
    event.preventDefault()
    if (token.trim() === "") return
    Token.set(token.trim())
    onToken()
  }
  return (
    <form className="empty" onSubmit={submit}>
      <h1>This server requires a token</h1>
      <p>
        The token is in the file that was given to <code>baton serve --token-file</code>. It is kept until you close
        this window.
      </p>
      <label className="field">
        Token
        <input
          type="password"
          autoComplete="off"
          spellCheck={false}
          value={token}
          onChange={(event) => setToken(event.target.value)}
          aria-describedby={wasRefused ? "token-refused" : undefined}
        />
      </label>
      {wasRefused && (
        <p id="token-refused" className="refused" role="alert">
          The server refused this token.
        </p>
      )}
      <button type="submit" className="button primary">
        Open
      </button>
    </form>
  )
}

const limitOf = {
  view: "Your token permits you to read, and to change nothing. The server may also be read-only.",
  review: "Your token permits you to read and to review outputs, and to change nothing else."
}

export const Layout = () => {
  const client = useQueryClient()
  const queues = useQueues()
  const { pathname } = useLocation()
  const connection = useConnection()
  const needsToken = queues.error instanceof RequestError && queues.error.status === 401
  useEffect(() => (needsToken ? undefined : start(client)), [client, needsToken])
  const inReview = queues.data?.queues.reduce((sum, queue) => sum + queue.in_review, 0) ?? 0
  const hasWorkflows = queues.data?.queues.some(({ queue }) => workflowOf(queue) !== undefined) ?? false
  const role = queues.data?.server.role
  const failed = queues.data?.queues.reduce((sum, queue) => sum + queue.failed, 0) ?? 0
  return (
    <>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <header className="top">
        <div className="top-inner">
          <Link to="/" className="brand" aria-label="Baton, all queues">
            <img src={`${base}icon.svg`} alt="" width="24" height="24" />
            Baton
          </Link>
          <nav aria-label="Pages">
            <Link to="/" activeOptions={{ exact: true }} className={pathname === "/settings" ? "tab active" : "tab"}>
              Queues
            </Link>
            <Link to="/tasks" className={pathname === "/task" ? "tab active" : "tab"}>
              Tasks
            </Link>
            {hasWorkflows && (
              <Link to="/workflows" className={pathname === "/execution" ? "tab active" : "tab"}>
                Workflows
              </Link>
            )}
            <Link to="/review" className="tab">
              Review
              {inReview > 0 && (
                <span className="count" data-kind="in_review">
                  {number(inReview)}
                </span>
              )}
            </Link>
            <Link to="/audit" className="tab">
              Audit
            </Link>
            <Link to="/failures" className="tab">
              Failures
              {failed > 0 && <span className="count">{number(failed)}</span>}
            </Link>
          </nav>
          <div className="top-end">
            {role !== undefined && role !== "operate" && (
              <span className="role" title={limitOf[role]}>
                {role === "view" ? "View only" : "Review only"}
              </span>
            )}
            <Connection />
            <ThemeChoice />
          </div>
        </div>
      </header>
      {connection === "disconnected" && !needsToken && (
        <p className="banner" data-kind="warning" role="alert">
          The connection to the server is lost. What you see may be out of date. The page connects again by itself.
        </p>
      )}
      {queues.data?.control.paused === true && (
        <p className="banner" data-kind="paused">
          All runs on this store are paused. Running tasks finish, and no other task starts until you resume.
        </p>
      )}
      <main id="main" tabIndex={-1}>
        {needsToken ? (
          <TokenForm wasRefused={Token.get() !== undefined} onToken={() => void client.resetQueries()} />
        ) : (
          <Outlet />
        )}
      </main>
    </>
  )
}
