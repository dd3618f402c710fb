import { rmSync } from "node:fs"
import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
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

/** Bundles a program that a file of tests starts several times, until the tests have ended. */
export const bundle = async (program: URL): Promise<string> => {
  const { afterAll } = await import("vitest")
  const folder = await mkdtemp(join(tmpdir(), "baton-test-program-"))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return bundleInto(folder, program)
}
