/**
 * Runs each benchmark in its own process and prints one table. Compare the ratios, which are taken within one run; absolute
 * figures of a shared machine mean little.
 *
 *   node bench/src/main.ts            all benchmarks
 *   node bench/src/main.ts memory     some of them
 *   node bench/src/main.ts swarm --workers 20    one with its options
 */
import { spawnSync } from "node:child_process"
import { readdirSync } from "node:fs"
import { cpus } from "node:os"
import { fileURLToPath } from "node:url"
import { collect, type Measurement, otherLines } from "./measurement.ts"

const folder = fileURLToPath(new URL(".", import.meta.url))
const support = new Set(["main", "measurement", "orchestrate", "temporaryStores"])
const all = readdirSync(folder)
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.replace(/\.ts$/, ""))
  .filter((name) => !support.has(name))

const given = process.argv.slice(2)
const firstOption = given.findIndex((argument) => argument.startsWith("--"))
const chosen = firstOption === -1 ? given : given.slice(0, firstOption)
const options = firstOption === -1 ? [] : given.slice(firstOption)
const unknown = chosen.filter((name) => !all.includes(name))
if (unknown.length > 0) {
  process.stderr.write(`Unknown benchmark: ${unknown.join(", ")}. Expected one of: ${all.join(", ")}.\n`)
  process.exit(1)
}

const figure = ({ unit, value }: Measurement): string => {
  const digits = value >= 1000 ? 0 : value >= 10 ? 1 : 2
  return `${value.toLocaleString("en", { maximumFractionDigits: digits }).replaceAll(",", " ")} ${unit}`
}

process.stdout.write(`node ${process.version}, ${cpus().length} cores (${cpus()[0]?.model.trim() ?? "unknown"})\n`)
let failed = false
for (const name of chosen.length > 0 ? chosen : all) {
  process.stdout.write(`\n${name}\n`)
  const { status, stdout } = spawnSync(process.execPath, [`${folder}${name}.ts`, ...options], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 2 ** 26
  })
  if (status !== 0) failed = true
  const measurements = collect(stdout)
  process.stdout.write(otherLines(stdout))
  const byName = new Map(measurements.map((measurement) => [measurement.what, measurement]))
  const width = Math.max(0, ...measurements.map(({ what }) => what.length))
  for (const measurement of measurements) {
    const base = measurement.against === undefined ? undefined : byName.get(measurement.against)
    const ratio = base === undefined ? "" : `${(measurement.value / base.value).toFixed(2)} x`
    process.stdout.write(
      `  ${measurement.what.padEnd(width)}  ${figure(measurement).padStart(16)}  ${ratio.padStart(8)}  ${measurement.target ?? ""}\n`
    )
  }
}
process.exit(failed ? 1 : 0)
