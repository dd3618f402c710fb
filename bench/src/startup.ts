/** The start-up time of the command line. Needs the bundle: run `pnpm build` first. */
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { median, report } from "./measurement.ts"

const baton = fileURLToPath(new URL("../../packages/cli/dist/baton.js", import.meta.url))

/** Runs alternate, so that a slow moment of the machine affects both medians. */
const times: { node: Array<number>; baton: Array<number> } = { node: [], baton: [] }
const time = (args: ReadonlyArray<string>): number => {
  const start = performance.now()
  const { status } = spawnSync(process.execPath, args, { stdio: "ignore" })
  if (status !== 0) throw new Error(`node ${args.join(" ")} exited with ${status}`)
  return performance.now() - start
}
for (let round = 0; round < 15; round++) {
  times.node.push(time(["-e", "0"]))
  times.baton.push(time([baton, "--version"]))
}

report({ what: "node -e 0", value: median(times.node), unit: "ms" })
report({
  what: "baton --version",
  value: median(times.baton),
  unit: "ms",
  against: "node -e 0",
  target: "<= 3 x"
})
