import type { ReactNode } from "react"

/** A term of a `<dl className="facts">` and its description. */
export const Fact = ({
  children,
  className,
  label
}: {
  readonly label: string
  readonly className?: string
  readonly children: ReactNode
}) => (
  <div>
    <dt>{label}</dt>
    <dd className={className}>{children}</dd>
  </div>
)
