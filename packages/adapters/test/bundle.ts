import { mkdtemp } from "node:fs/promises"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { rolldown } from "rolldown"

/** Bundles a program into a folder, and returns the path of the bundle. Node starts it in a third of the time of the sources. */
export const bundleInto = async (folder: string, program: URL): Promise<string> => {
  const bundled = await rolldown({
    input: fileURLToPath(program),
    platform: "node",
    checks: { ineffectiveDynamicImport: false }
  })
  await bundled.write({ dir: folder, format: "esm", entryFileNames: "[name].mjs", chunkFileNames: "[name]-[hash].mjs" })
  await bundled.close()
  return join(folder, basename(program.pathname).replace(/\.ts$/, ".mjs"))
}

/**
 * Bundles a program that tests start several times. Files of tests share a worker and its modules, so the bundle is kept until
 * all of them have ended.
 */
export const bundle = async (program: URL): Promise<string> => {
  const { inject } = await import("vitest")
  return bundleInto(await mkdtemp(join(inject("programs"), "program-")), program)
}
