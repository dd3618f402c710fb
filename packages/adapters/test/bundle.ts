import { rmSync } from "node:fs"
import { mkdtemp } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { rolldown } from "rolldown"
import { afterAll } from "vitest"

/**
 * Bundles a program that a file of tests starts several times, and returns the path of the bundle, which is removed after
 * the tests. Node starts it in a third of the time that the sources take.
 */
export const bundle = async (program: URL): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), "baton-test-program-"))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const bundled = await rolldown({
    input: fileURLToPath(program),
    platform: "node",
    checks: { ineffectiveDynamicImport: false }
  })
  await bundled.write({ dir: folder, format: "esm", entryFileNames: "[name].mjs", chunkFileNames: "[name]-[hash].mjs" })
  await bundled.close()
  return join(folder, basename(program.pathname).replace(/\.ts$/, ".mjs"))
}
