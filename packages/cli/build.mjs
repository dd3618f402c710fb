// Bundles the CLI: `dist/baton.js` is a small entry that any Node can parse, everything else sits in chunks beside it
// and is loaded when a command needs it.
import { chmod, readdir, rm } from "node:fs/promises"
import { build } from "esbuild"

const { metafile } = await build({
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
  logLevel: "warning",
  metafile: true
})
await chmod("dist/baton.js", 0o755)
// Removed last and by name, so that a `baton` that is running keeps its chunks until the new ones are there.
for (const file of await readdir("dist", { recursive: true })) {
  if (file.endsWith(".js") && !(`dist/${file}` in metafile.outputs)) await rm(`dist/${file}`)
}
