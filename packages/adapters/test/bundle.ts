import { mkdtemp } from "node:fs/promises"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { rolldown } from "rolldown"

/** Bundles programs into a folder, with the code that they share once. */
const write = async (folder: string, programs: ReadonlyArray<URL>): Promise<ReadonlyArray<string>> => {
  const bundled = await rolldown({
    input: programs.map((program) => fileURLToPath(program)),
    platform: "node",
    checks: { ineffectiveDynamicImport: false }
  })
  await bundled.write({ dir: folder, format: "esm", entryFileNames: "[name].mjs", chunkFileNames: "[name]-[hash].mjs" })
  await bundled.close()
  return programs.map((program) => join(folder, basename(program.pathname).replace(/\.ts$/, ".mjs")))
}

/** Bundles a program into a folder, and returns the path of the bundle. Node starts it in a third of the time of the sources. */
export const bundleInto = async (folder: string, program: URL): Promise<string> => {
  const [path = ""] = await write(folder, [program])
  return path
}

/**
 * Bundles programs that tests start several times. Files of tests share a worker and its modules, so the bundles are kept until
 * all of them have ended.
 */
export const bundles = async (programs: ReadonlyArray<URL>): Promise<ReadonlyArray<string>> => {
  const { inject } = await import("vitest")
  return write(await mkdtemp(join(inject("programs"), "program-")), programs)
}

/** Bundles one program as `bundles` does. */
export const bundle = async (program: URL): Promise<string> => {
  const [path = ""] = await bundles([program])
  return path
}
