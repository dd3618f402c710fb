#!/usr/bin/env node
/** The entry of the `baton` command. Any version of Node must be able to parse this file; newer syntax is imported below. */
import module from "node:module"
import manifest from "../package.json" with { type: "json" }

const minimum = 24
const [major = 0] = process.versions.node.split(".").map(Number)

if (major < minimum) {
  process.stderr.write(
    `This is Node ${process.versions.node}, but baton needs Node ${minimum} or newer. Install it from https://nodejs.org.\n`
  )
  process.exitCode = 1
} else if (process.argv.length === 3 && process.argv[2] === "--version") {
  // Scripts ask for the version often: loading the commands would take most of the time.
  process.stdout.once("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") process.stderr.write(`The version could not be printed: ${error.message}.\n`)
    process.exit(error.code === "EPIPE" ? 141 : 1)
  })
  process.stdout.write(`${manifest.version}\n`)
} else {
  module.enableCompileCache()
  const { main } = await import("./main.ts")
  main()
}
