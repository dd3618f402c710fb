#!/usr/bin/env node
/** The entry of the `baton` command. Any version of Node must be able to parse this file; newer syntax is imported below. */
import module from "node:module"

const minimum = 24
const [major = 0] = process.versions.node.split(".").map(Number)

if (major < minimum) {
  process.stderr.write(
    `This is Node ${process.versions.node}, but baton needs Node ${minimum} or newer. Install it from https://nodejs.org.\n`
  )
  process.exitCode = 1
} else {
  module.enableCompileCache()
  const { main } = await import("./main.ts")
  main()
}
