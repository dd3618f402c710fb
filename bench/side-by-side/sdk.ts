/** The bare SDK with its own retries: sixteen requests at a time, and each result in a file as soon as it is there. */
import OpenAI from "openai"
import { appendFileSync, readFileSync } from "node:fs"

const [, , prompts = "", results = "", baseURL = ""] = process.argv
const client = new OpenAI({ apiKey: "none", baseURL, logLevel: "off" })
const queue = readFileSync(prompts, "utf8").trim().split("\n")

const work = async () => {
  for (let prompt = queue.shift(); prompt !== undefined; prompt = queue.shift()) {
    try {
      const answer = await client.chat.completions.create({
        model: "bench",
        max_tokens: 200,
        messages: [{ role: "user", content: prompt }]
      })
      appendFileSync(results, `${JSON.stringify([prompt, answer.choices[0]?.message.content])}\n`)
    } catch {
      // Its own retries are used up: the result is lost.
    }
  }
}
await Promise.all(Array.from({ length: 16 }, work))
