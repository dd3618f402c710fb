// Renders a terminal's contents as an SVG: tmux capture-pane -e -p -t PANE | node scripts/ansi-svg.mjs COLUMNS > view.svg
import { text } from "node:stream/consumers"

const columns = Number(process.argv[2] ?? 80)
const [cell, row, size, margin] = [8.4, 18, 14, 14]
const palette = { 31: "#f47067", 32: "#57ab5a", 33: "#c69026", 36: "#39c5cf" }
const [background, foreground, dimmed] = ["#1c2128", "#cdd9e5", "#768390"]

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" })
const isWide = (grapheme) =>
  /^(?:[\u1100-\u115F\u2E80-\u303E\u3041-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF01-\uFF60\uFFE0-\uFFE6]|\p{Emoji_Presentation})/u.test(
    grapheme
  )
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")

/** Applies SGR codes to a style. */
const restyle = (style, codes) => {
  let next = style
  for (const code of codes.split(";").map(Number)) {
    if (code === 0) next = {}
    else if (code === 1) next = { ...next, bold: true }
    else if (code === 2) next = { ...next, dim: true }
    else if (code === 22) next = { ...next, bold: false, dim: false }
    else if (code === 39) next = { ...next, color: undefined }
    else if (palette[code] !== undefined) next = { ...next, color: palette[code] }
  }
  return next
}

const lines = (await text(process.stdin)).trimEnd().split("\n")
const drawn = []
let style = {}
for (const [index, line] of lines.entries()) {
  let column = 0
  // eslint-disable-next-line no-control-regex
  for (const [part, codes] of line.matchAll(/\u001B\[([\d;]*)m|[^\u001B]+/g)) {
    if (codes !== undefined) {
      style = restyle(style, codes)
      continue
    }
    const fill = style.color ?? (style.dim ? dimmed : foreground)
    const opacity = style.color !== undefined && style.dim ? ' opacity="0.6"' : ""
    const weight = style.bold ? ' font-weight="bold"' : ""
    // Each word is positioned separately, so that no font can shift a column.
    for (const [word] of part.matchAll(/ +|[█▓░]+|[^ █▓░]+/g)) {
      const [x, y] = [(margin + column * cell).toFixed(1), margin + index * row]
      const cells = [...graphemes.segment(word)].reduce((sum, { segment }) => sum + (isWide(segment) ? 2 : 1), 0)
      column += cells
      if (word.startsWith(" ")) continue
      drawn.push(
        /^[█▓░]/.test(word)
          ? `<rect x="${x}" y="${y + 3}" width="${(cells * cell).toFixed(1)}" height="${row - 6}" fill="${fill}"${word.startsWith("░") ? ' opacity="0.3"' : ""}/>`
          : `<text x="${x}" y="${y + 14}" fill="${fill}"${weight}${opacity}>${escaped(word)}</text>`
      )
    }
  }
}

const width = Math.ceil(columns * cell + 2 * margin)
const height = lines.length * row + 2 * margin
console.log(`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<rect width="100%" height="100%" rx="8" fill="${background}"/>
<g font-family="ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${size}">
${drawn.join("\n")}
</g>
</svg>`)
