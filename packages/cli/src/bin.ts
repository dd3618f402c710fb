#!/usr/bin/env node
/**
 * The entry of the `baton` command. It has to be read by any Node: whatever needs a newer one is behind the import.
 */
import module from "node:module"

const oldest = 24
const [major = 0] = process.versions.node.split(".").map(Number)

if (major < oldest) {
  process.stderr.write(
    `baton needs Node ${oldest} or newer, and this is Node ${process.versions.node}: install one from https://nodejs.org.\n`
  )
  process.exitCode = 1
} else {
  module.enableCompileCache()
  await import("./main.ts")
}
