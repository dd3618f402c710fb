// Bundles the CLI: `dist/baton.js` is a small entry that any Node can parse; everything else is in chunks next to it, which
// are loaded when a command needs them.
import { chmod, readdir, rm } from "node:fs/promises"
import { resolve } from "node:path"
import { rolldown } from "rolldown"

const outdir = process.argv[2] ?? "dist"
const entry = resolve("src/bin.ts")
const main = resolve("src/main.ts")

/** The modules that load with `root`: what it imports, and what those import, but for `import()`. */
const loadedWith = (root, context) => {
  const ids = new Set([root])
  for (const id of ids) for (const imported of context.getModuleInfo(id)?.importedIds ?? []) ids.add(imported)
  return ids
}

// What every command loads is one chunk: Node takes longer to link many chunks than to read one. What the entry itself
// imports stays outside, because the entry turns on Node's compile cache before it imports the rest.
let everyCommand
const chunkOfEveryCommand = {
  debugName: "main",
  includeDependenciesRecursively: false,
  name: (id, context) => {
    everyCommand ??= loadedWith(main, context).difference(loadedWith(entry, context))
    return everyCommand.has(id) ? "main" : null
  }
}

const bundle = await rolldown({
  input: { baton: entry, chaosWorker: "src/chaos/worker.ts", defineConfig: "src/settings/defineConfig.ts" },
  platform: "node",
  preserveEntrySignatures: "allow-extension",
  // The ES modules of yaml: for Node it offers CommonJS only, which is larger in a bundle.
  resolve: { alias: { yaml: resolve("node_modules/yaml/browser/index.js") } },
  transform: { target: "node24" },
  // A module that some commands load on demand and others always is fine.
  checks: { ineffectiveDynamicImport: false }
})
const { output } = await bundle.write({
  dir: outdir,
  format: "esm",
  minify: true,
  comments: false,
  chunkFileNames: "chunks/[name]-[hash].js",
  codeSplitting: { groups: [chunkOfEveryCommand] }
})
await bundle.close()
await chmod(`${outdir}/baton.js`, 0o755)
// Removed last and by name, so that a `baton` that is running keeps its chunks until the new ones are there.
const built = new Set(output.map(({ fileName }) => resolve(outdir, fileName)))
for (const file of await readdir(outdir, { recursive: true })) {
  const path = resolve(outdir, file)
  if (file.endsWith(".js") && !file.startsWith("dashboard") && !built.has(path)) await rm(path)
}
