/** The events of the server, and the state of the connection that brings them. */
import * as Sse from "effect/encoding/Sse"
import { RequestError, send } from "./client.ts"

export type Connection = "connecting" | "live" | "disconnected"

export interface Listener {
  readonly onEvent: (name: string, data: string) => void
  readonly onConnection: (connection: Connection) => void
}

/** The server sends at least a comment every 15 s. A connection that is silent for longer is dead. */
const silenceMillis = 40_000
const firstDelayMillis = 500
const maxDelayMillis = 10_000

const read = async (listener: Listener, stop: AbortSignal): Promise<void> => {
  const connection = new AbortController()
  const end = () => connection.abort()
  stop.addEventListener("abort", end)
  let watchdog = setTimeout(end, silenceMillis)
  try {
    const response = await send("api/events", {
      signal: connection.signal,
      headers: { accept: "text/event-stream" },
      cache: "no-store"
    })
    if (response.body === null) return
    listener.onConnection("live")
    const parser = Sse.makeParser((event) => {
      if (event._tag === "Event") listener.onEvent(event.event, event.data)
    })
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    while (true) {
      const { done, value } = await reader.read()
      if (done) return
      clearTimeout(watchdog)
      watchdog = setTimeout(end, silenceMillis)
      parser.feed(value)
    }
  } finally {
    clearTimeout(watchdog)
    stop.removeEventListener("abort", end)
    connection.abort()
  }
}

/** Waits, but not longer than until the reader returns to the window or the network comes back. */
const pause = (millis: number, stop: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer)
      removeEventListener("online", wake)
      removeEventListener("focus", wake)
      stop.removeEventListener("abort", wake)
      resolve()
    }
    const timer = setTimeout(wake, millis)
    addEventListener("online", wake)
    addEventListener("focus", wake)
    stop.addEventListener("abort", wake)
  })

/** Reads events until the signal, and connects again when the connection ends. */
export const listen = async (listener: Listener, stop: AbortSignal): Promise<void> => {
  let delay = firstDelayMillis
  while (!stop.aborted) {
    const counted: Listener = {
      ...listener,
      onConnection: (connection) => {
        delay = firstDelayMillis
        listener.onConnection(connection)
      }
    }
    const failure: unknown = await read(counted, stop).then(
      () => undefined,
      (cause: unknown) => cause
    )
    if (stop.aborted) return
    listener.onConnection("disconnected")
    // The page asks for a token, and starts to listen again when it has one.
    if (failure instanceof RequestError && failure.status === 401) return
    await pause(delay, stop)
    delay = Math.min(maxDelayMillis, delay * 2)
  }
}
