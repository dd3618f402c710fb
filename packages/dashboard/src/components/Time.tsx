import { useNow } from "../api/queries.ts"
import { ago, elapsed } from "../text/format.ts"

/** The age of something. The exact time is shown on hover. */
export const Ago = ({ at }: { readonly at: string }) => {
  const now = useNow()
  return (
    <time dateTime={at} title={new Date(at).toLocaleString()}>
      {ago(now - Date.parse(at))}
    </time>
  )
}

/** The duration of something that ended, or that is still running. */
export const Duration = ({ from, to }: { readonly from: string; readonly to?: string | undefined }) =>
  to === undefined ? <Running from={from} /> : <span>{elapsed(Date.parse(to) - Date.parse(from))}</span>

const Running = ({ from }: { readonly from: string }) => {
  const now = useNow()
  return <span>{elapsed(now - Date.parse(from))}</span>
}
