// Bundles the CLI: `dist/baton.js` is a small entry that any Node can parse; everything else is in chunks next to it, which
// are loaded when a command needs them.
import { existsSync } from "node:fs"
import { chmod, cp, readdir, rm } from "node:fs/promises"
import { resolve } from "node:path"
import { build } from "esbuild"

const outdir = process.argv[2] ?? "dist"

const { metafile } = await build({
  entryPoints: {
    baton: "src/bin.ts",
    chaosWorker: "src/chaos/worker.ts",
    defineConfig: "src/settings/defineConfig.ts"
  },
  outdir,
  bundle: true,
  splitting: true,
  chunkNames: "chunks/[name]-[hash]",
  format: "esm",
  platform: "node",
  target: "node24",
  minify: true,
  legalComments: "none",
  // Its ES modules: for Node it offers CommonJS only, whose names a bundle that is split cannot import.
  alias: { yaml: "./node_modules/yaml/browser/index.js" },
  // For drivers that are CommonJS and load Node's own modules.
  banner: {
    js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);'
  },
  logLevel: "warning",
  metafile: true
})
await chmod(`${outdir}/baton.js`, 0o755)
// Removed last and by name, so that a `baton` that is running keeps its chunks until the new ones are there.
const built = new Set(Object.keys(metafile.outputs).map((file) => resolve(file)))
for (const file of await readdir(outdir, { recursive: true })) {
  const path = resolve(outdir, file)
  if (file.endsWith(".js") && !built.has(path)) await rm(path)
}

// The web page that `baton serve` serves.
const page = "../dashboard/dist"
await rm(`${outdir}/dashboard`, { recursive: true, force: true })
if (existsSync(page)) await cp(page, `${outdir}/dashboard`, { recursive: true })
