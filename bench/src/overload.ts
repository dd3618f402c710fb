/**
 * 1 000 tasks with answers of 3 seconds and 64 workers, from a server that is overloaded for every twentieth request (529),
 * compared with the same tasks without faults.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { error, reply } from "../../packages/adapters/test/claude/server/Answer.ts"
import * as Server from "../../packages/adapters/test/claude/server/server.ts"
import { report } from "./measurement.ts"
import { inFolder } from "./temporaryStores.ts"

const program = fileURLToPath(new URL("../../packages/cli/dist/baton.js", import.meta.url))
const tasks = 1000
const answerMillis = 3000

/** Seconds from the first request to the last answer. */
const measure = (isFaulty: boolean): Promise<number> =>
  inFolder(async (folder) => {
    let requests = 0
    let startedAt = 0
    const server = await Server.start({
      script: () => {
        if (++requests === 1) startedAt = performance.now()
        if (isFaulty && requests % 20 === 0) return error(529)
        return reply("Done.", { before: new Promise((resolve) => setTimeout(resolve, answerMillis)) })
      }
    })
    writeFileSync(join(folder, "tasks.txt"), Array.from({ length: tasks }, (_, n) => `Task ${n}\n`).join(""))
    const env = { ...process.env, ANTHROPIC_API_KEY: "key", ANTHROPIC_BASE_URL: server.url }
    const run = ["run", "tasks.txt", "--executor", "claude", "--no-verify", "--no-cache", "-j", "64"]
    const [code] = await once(
      spawn(process.execPath, [program, ...run], { cwd: folder, env, stdio: "ignore" }),
      "close"
    )
    const seconds = (performance.now() - startedAt) / 1000
    await server.stop()
    if (code !== 0) throw new Error(`baton run exited with ${code}`)
    return seconds
  })

const base = `${tasks} tasks without faults`
report({ what: base, value: await measure(false), unit: "s" })
report({ what: `${tasks} tasks, 5 % 529`, value: await measure(true), unit: "s", against: base, target: "<= 1.15 x" })
