import type { ReactNode } from "react"

const icon = (paths: ReactNode) => () => (
  <svg className="icon" viewBox="0 0 20 20" width="16" height="16" aria-hidden="true" focusable="false">
    {paths}
  </svg>
)

export const Pause = icon(<path d="M7 5v10M13 5v10" />)
export const Play = icon(<path d="m7 4.5 8.5 5.5L7 15.5z" />)
export const Requeue = icon(
  <path d="M4 10a6 6 0 0 1 10.5-4L16 7.5M16 3.5v4h-4M16 10a6 6 0 0 1-10.5 4L4 12.5M4 16.5v-4h4" />
)
export const Cross = icon(<path d="m5.5 5.5 9 9m0-9-9 9" />)
export const Search = icon(<path d="M9 14.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11Zm4-1.5 4 4" />)
export const Sun = icon(
  <path d="M10 13a3 3 0 1 0 0-6 3 3 0 0 0 0 6Zm0-11v1.5m0 13V18M2 10h1.5m13 0H18M4.3 4.3l1.100 1.100m9.200 9.200 1.100 1.100m0-11.400-1.100 1.100m-9.200 9.200-1.100 1.100" />
)
export const Moon = icon(<path d="M16.5 12A7 7 0 0 1 8 3.5 7 7 0 1 0 16.5 12Z" />)
export const System = icon(<path d="M3 4.5h14v9H3zM7.5 17h5M10 13.5V17" />)
export const ArrowLeft = icon(<path d="M16 10H4m5-5-5 5 5 5" />)
export const Keyboard = icon(<path d="M2.5 5.5h15v9h-15zM5.5 8.5h0m3 0h0m3 0h0m3 0h0m-8 3h7" />)
