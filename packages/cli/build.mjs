// Bundles the CLI: `dist/baton.js` is a small entry that any Node can parse, everything else sits in chunks beside it
// and is loaded when a command needs it.
import { chmod, rm } from "node:fs/promises"
import { build } from "esbuild"

await rm("dist", { recursive: true, force: true })
await build({
  entryPoints: { baton: "src/bin.ts" },
  outdir: "dist",
  bundle: true,
  splitting: true,
  chunkNames: "chunks/[name]-[hash]",
  format: "esm",
  platform: "node",
  target: "node24",
  minify: true,
  keepNames: false,
  legalComments: "none",
  conditions: ["import", "node"],
  logLevel: "warning"
})
await chmod("dist/baton.js", 0o755)
