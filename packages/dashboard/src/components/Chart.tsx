/**
 * Stacked bars over time, drawn by uPlot. It is a picture for readers who see it: the page has to say as text what it shows.
 * The colours are those of the theme, from the style sheet.
 */
import { memo, useEffect, useRef } from "react"
import uPlot from "uplot"

export interface Series {
  /** Chooses its colour. */
  readonly status: string
  readonly values: ReadonlyArray<number>
}

interface Props {
  /** When the first bar begins, and how long each is, in milliseconds. */
  readonly start: number
  readonly widthMillis: number
  /** From the bottom to the top. */
  readonly series: ReadonlyArray<Series>
  /** Gets the place of the bar under the pointer; null when there is none. */
  readonly onPoint: (index: number | null) => void
}

/** The upper edges of the bars of each series, the topmost series first: each is drawn over the one before. */
const stacked = ({ series, start, widthMillis }: Props): uPlot.AlignedData => {
  const times = (series[0]?.values ?? []).map((_, index) => (start + index * widthMillis) / 1000)
  const edges: Array<Array<number>> = []
  for (const { values } of series) {
    const below = edges[0]
    edges.unshift(values.map((value, index) => value + (below?.[index] ?? 0)))
  }
  return [times, ...edges]
}

const wholeNumbers = [1, 2, 5]
  .flatMap((step) => Array.from({ length: 12 }, (_, power) => step * 10 ** power))
  .sort((a, b) => a - b)

/** The time of a mark on the axis; days have no time. */
const timeText = (millis: number, secondsApart: number): string => {
  const time = new Date(millis)
  return secondsApart >= 86_400
    ? time.toLocaleDateString([], { month: "short", day: "numeric" })
    : time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })
}

export const Chart = memo((props: Props) => {
  const box = useRef<HTMLDivElement>(null)
  const latest = useRef(props)
  const plot = useRef<uPlot>(undefined)

  useEffect(() => {
    latest.current = props
    plot.current?.setData(stacked(props))
  }, [props])

  useEffect(() => {
    const element = box.current
    if (element === null) return
    const styleOf = (status: string) => getComputedStyle(element.querySelector(`[data-status="${status}"]`) ?? element)
    const own = () => getComputedStyle(element)
    const bars = uPlot.paths.bars?.({ size: [0.85, 60], align: 1 })
    const axis: uPlot.Axis = {
      stroke: () => own().color,
      font: `12px ${own().fontFamily}`,
      ticks: { show: false }
    }
    const drawn = new uPlot(
      {
        width: element.clientWidth,
        height: element.clientHeight,
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
        padding: [8, 28, 0, 0],
        scales: {
          x: {
            range: () => {
              const { series, start, widthMillis } = latest.current
              return [start / 1000, (start + (series[0]?.values.length ?? 0) * widthMillis) / 1000]
            }
          },
          y: { range: (_, _least, most) => [0, Math.max(1, most)] }
        },
        axes: [
          {
            ...axis,
            size: 22,
            gap: 4,
            space: 70,
            grid: { show: false },
            values: (_, times, _axis, _space, seconds) => times.map((time) => timeText(time * 1000, seconds))
          },
          {
            ...axis,
            size: 44,
            gap: 6,
            space: 28,
            incrs: wholeNumbers,
            grid: { stroke: () => own().borderTopColor, width: 1 }
          }
        ],
        series: [
          {},
          ...latest.current.series.toReversed().map(({ status }): uPlot.Series => {
            const series: uPlot.Series = { fill: () => styleOf(status).color, width: 0, points: { show: false } }
            if (bars !== undefined) series.paths = bars
            return series
          })
        ],
        hooks: { setCursor: [({ cursor }) => latest.current.onPoint(cursor.idx ?? null)] }
      },
      stacked(latest.current),
      element
    )
    plot.current = drawn
    const resizing = new ResizeObserver(() =>
      drawn.setSize({ width: element.clientWidth, height: element.clientHeight })
    )
    resizing.observe(element)
    const redraw = () => drawn.redraw()
    const system = matchMedia("(prefers-color-scheme: dark)")
    system.addEventListener("change", redraw)
    const chosen = new MutationObserver(redraw)
    chosen.observe(document.documentElement, { attributeFilter: ["data-theme"] })
    return () => {
      resizing.disconnect()
      chosen.disconnect()
      system.removeEventListener("change", redraw)
      drawn.destroy()
      plot.current = undefined
    }
  }, [])

  return (
    <div ref={box} className="chart" aria-hidden="true">
      {props.series.map(({ status }) => (
        <span key={status} data-status={status} hidden />
      ))}
    </div>
  )
})
