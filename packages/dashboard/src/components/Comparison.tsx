/** The difference between two outputs: one below the other, or side by side. */
import { type ReactNode, useMemo, useState } from "react"
import { compare, folded, type Gap, type Line, type Row } from "../text/difference.ts"
import { count } from "../text/format.ts"
import { Plain } from "./Plain.tsx"

interface Props {
  readonly before: string
  readonly after: string
  readonly isSideBySide: boolean
}

/** More rows at once make the page slow. */
const step = 1000

const Pieces = ({ line, tag: Tag }: { readonly line: Line; readonly tag: "ins" | "del" }) =>
  line.pieces.map((piece, index) =>
    piece.isChanged ? (
      <Tag key={index}>
        <Plain text={piece.text} />
      </Tag>
    ) : (
      <Plain key={index} text={piece.text} />
    )
  )

const Side = ({ kind, line }: { readonly line: Line | undefined; readonly kind: "equal" | "before" | "after" }) => (
  <>
    <td className="line-number">{line?.number}</td>
    <td className="line" data-kind={line === undefined ? "none" : kind}>
      {line !== undefined && <Pieces line={line} tag={kind === "before" ? "del" : "ins"} />}
    </td>
  </>
)

const sideBySide = (row: Row, key: string): ReactNode => (
  <tr key={key}>
    <Side line={row.before} kind={row.kind === "equal" ? "equal" : "before"} />
    <Side line={row.after} kind={row.kind === "equal" ? "equal" : "after"} />
  </tr>
)

const single = (line: Line, kind: "equal" | "before" | "after", key: string): ReactNode => (
  <tr key={key}>
    <td className="line-number">{line.number}</td>
    <td className="line-sign">{kind === "equal" ? "" : kind === "before" ? "−" : "+"}</td>
    <td className="line" data-kind={kind}>
      <Pieces line={line} tag={kind === "before" ? "del" : "ins"} />
    </td>
  </tr>
)

/** In one column, all old lines of a change come before its new lines. */
const inOneColumn = (rows: ReadonlyArray<Row>, key: string): ReadonlyArray<ReactNode> => {
  const result: Array<ReactNode> = []
  let after: Array<ReactNode> = []
  for (const [index, row] of rows.entries()) {
    if (row.kind === "equal") {
      result.push(...after)
      after = []
      if (row.after) result.push(single(row.after, "equal", `${key}${index}=`))
      continue
    }
    if (row.before) result.push(single(row.before, "before", `${key}${index}-`))
    if (row.after) after.push(single(row.after, "after", `${key}${index}+`))
  }
  return [...result, ...after]
}

/** Consecutive rows, and the gaps between them. */
const blocksOf = (items: ReadonlyArray<Row | Gap>): ReadonlyArray<Gap | ReadonlyArray<Row>> => {
  const blocks: Array<Gap | Array<Row>> = []
  for (const item of items) {
    const last = blocks.at(-1)
    if (item.kind === "gap") blocks.push(item)
    else if (Array.isArray(last)) last.push(item)
    else blocks.push([item])
  }
  return blocks
}

export const Comparison = ({ after, before, isSideBySide }: Props) => {
  const items = useMemo(() => folded(compare(before, after)), [after, before])
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set())
  const [shown, setShown] = useState(step)
  if (before === after) return <p className="note">The two outputs are the same.</p>
  const render = (rows: ReadonlyArray<Row>, key: string) =>
    isSideBySide ? rows.map((row, index) => sideBySide(row, `${key}${index}`)) : inOneColumn(rows, key)
  const isLong = items.length > shown
  return (
    <>
      <div className="comparison" role="region" aria-label="Difference" tabIndex={0}>
        <table data-view={isSideBySide ? "side-by-side" : "changes"}>
          <tbody>
            {blocksOf(isLong ? items.slice(0, shown) : items).map((block, index) =>
              "kind" in block && !open.has(index) ? (
                <tr key={index} className="gap">
                  <td colSpan={4}>
                    <button type="button" onClick={() => setOpen(new Set([...open, index]))}>
                      {count(block.rows.length, "unchanged line")}
                    </button>
                  </td>
                </tr>
              ) : (
                render("kind" in block ? block.rows : block, `${index}.`)
              )
            )}
          </tbody>
        </table>
      </div>
      {isLong && (
        <p className="more">
          <button type="button" className="button small" onClick={() => setShown(shown * 4)}>
            Show more
          </button>
        </p>
      )}
    </>
  )
}
