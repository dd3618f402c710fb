// A program in place of `claude`: it prints the output of version 2.1.329 in the situation STAND_IN, and exits as it did.
import { spawn } from "node:child_process"
import { appendFileSync, readFileSync } from "node:fs"

const { STAND_IN: situation, STAND_IN_LOG: log } = process.env
const args = process.argv.slice(2)
const prompt = readFileSync(0, "utf8")
if (log !== undefined) {
  const { BATON_ATTEMPT, BATON_TASK_ID } = process.env
  appendFileSync(
    log,
    `${JSON.stringify({ args, prompt, pid: process.pid, cwd: process.cwd(), BATON_ATTEMPT, BATON_TASK_ID })}\n`
  )
}

const valueOf = (flag) => (args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined)
const session_id = valueOf("--session-id") ?? "5f5db6b2-223c-41bf-93f6-97c86e4555c2"
const print = (message) => process.stdout.write(`${typeof message === "string" ? message : JSON.stringify(message)}\n`)

const modelUsage = (costUSD, more = {}) => ({
  "claude-sonnet-5-5": {
    inputTokens: 1000,
    outputTokens: 5000,
    cacheReadInputTokens: 300,
    cacheCreationInputTokens: 200,
    webSearchRequests: 0,
    costUSD,
    contextWindow: 1000000,
    maxOutputTokens: 128000,
    canonicalModel: "claude-sonnet-5-5",
    provider: "firstParty",
    costBasis: "list",
    ...more
  }
})

// The real one does not print `type` first either.
const result = (more) => ({
  duration_api_ms: 34,
  stop_reason: "end_turn",
  session_id,
  total_cost_usd: 0.05253,
  usage: { input_tokens: 1000 },
  modelUsage: modelUsage(0.05253),
  permission_denials: [],
  terminal_reason: "completed",
  is_error: false,
  num_turns: 1,
  subtype: "success",
  api_error_status: null,
  result: "hello world",
  type: "result",
  duration_ms: 81,
  uuid: "8b2d7096-4d3d-4c12-b3c8-dfdbb6aff915",
  ...more
})
const failed = (more) => result({ is_error: true, ...more })
const apiError = (text, more) =>
  failed({
    result: text,
    terminal_reason: "api_error",
    stop_reason: "stop_sequence",
    total_cost_usd: 0,
    modelUsage: {},
    ...more
  })

const init = () => {
  print({ type: "system", subtype: "ui_invalidate", event: "ui.render", session_id })
  print({
    type: "system",
    subtype: "init",
    cwd: process.cwd(),
    session_id,
    tools: ["Bash"],
    model: "claude-sonnet-5-5",
    claude_code_version: "2.1.329"
  })
}
const says = (text, more = {}) =>
  print({
    type: "assistant",
    message: { id: "msg_1", role: "assistant", content: [{ type: "text", text }], usage: { output_tokens: 1 } },
    parent_tool_use_id: null,
    session_id,
    ...more
  })
const notice = (text, error, more = {}) => says(text, { error, is_api_error_message: true, ...more })
const retry = (attempt, error_status, error) =>
  print({
    type: "system",
    subtype: "api_retry",
    attempt,
    max_retries: 10,
    retry_delay_ms: 500,
    error_status,
    error,
    session_id
  })

const end = (code, ...messages) => {
  messages.forEach(print)
  process.exitCode = code
}
const forever = () => setInterval(() => {}, 1000)

const situations = {
  ok: () => {
    says("hello world")
    end(0, result())
  },
  fallback: () =>
    end(
      0,
      result({
        modelUsage: {
          ...modelUsage(0.05),
          "claude-haiku-5-5": { inputTokens: 10, outputTokens: 1, costUSD: 0.00253, costBasis: "list" }
        }
      })
    ),
  "unknown-price": () => end(0, result({ modelUsage: modelUsage(0.1, { costBasis: "unknown" }), total_cost_usd: 0.1 })),
  "no-prices": () => end(0, { type: "result", subtype: "success", is_error: false, result: "hello world", session_id }),
  structured: () => end(0, result({ structured_output: { a: 1 } })),
  "max-turns": () => {
    says("half of it")
    end(
      1,
      failed({
        subtype: "error_max_turns",
        terminal_reason: "max_turns",
        num_turns: 3,
        result: undefined,
        errors: ["Reached maximum number of turns (2)"],
        permission_denials: [{ tool_name: "Bash", tool_use_id: "1", tool_input: {} }, { tool_name: "Bash" }]
      })
    )
  },
  "max-budget": () => {
    says("half of it")
    end(
      1,
      failed({
        subtype: "error_max_budget_usd",
        terminal_reason: "budget_exhausted",
        num_turns: 3,
        result: undefined,
        total_cost_usd: 0.22,
        modelUsage: modelUsage(0.22),
        errors: ["Reached maximum budget ($0.15)"]
      })
    )
  },
  401: () => {
    notice("Failed to authenticate.", "authentication_failed")
    end(
      1,
      apiError("Failed to authenticate. API Error: 401 bad key", {
        api_error_status: 401,
        api_error_type: "authentication_error"
      })
    )
  },
  "401-again": () => {
    retry(1, 401, "authentication_failed")
    retry(2, 401, "authentication_failed")
    process.on("SIGINT", () => process.exit(0))
    forever()
  },
  "401-once": () => {
    retry(1, 401, "authentication_failed")
    says("hello world")
    end(0, result())
  },
  "not-logged-in": () => {
    notice("Not logged in · Please run /login", "authentication_failed")
    end(1, apiError("Not logged in · Please run /login"))
  },
  400: () => {
    notice("API Error: 400", "invalid_request")
    end(
      1,
      apiError("API Error: 400 prompt is wrong", { api_error_status: 400, api_error_type: "invalid_request_error" })
    )
  },
  "400-later": () => {
    says("looking")
    end(
      1,
      apiError("API Error: 400 image is wrong", {
        api_error_status: 400,
        total_cost_usd: 0.05,
        modelUsage: modelUsage(0.05)
      })
    )
  },
  "400-spent": () => end(1, apiError("Credit balance is too low", { api_error_status: 400 })),
  402: () => end(1, apiError("API Error: 402", { api_error_status: 402, api_error_type: "billing_error" })),
  404: () => end(1, apiError("There's an issue with the selected model", { api_error_status: 404 })),
  429: () => {
    retry(1, 429, "rate_limit")
    end(1, apiError("API Error: Request rejected (429)", { api_error_status: 429, api_error_type: "rate_limit_error" }))
  },
  529: () => end(1, apiError("API Error: 529 Overloaded", { api_error_status: 529 })),
  unreachable: () => {
    retry(1, null, "unknown")
    notice("API Error: Connection refused", "server_error")
    end(1, apiError("API Error: Connection refused", { api_error: "connection_failed" }))
  },
  limit: () => {
    print({
      type: "rate_limit_event",
      rate_limit_info: {
        status: "rejected",
        resetsAt: Number(process.env.STAND_IN_RESETS_AT),
        rateLimitType: "five_hour"
      },
      session_id
    })
    notice("You've hit your limit", "rate_limit")
    end(1, apiError("You've hit your limit", { api_error_status: 429 }))
  },
  "limit-warning": () => {
    print({
      type: "rate_limit_event",
      rate_limit_info: { status: "allowed_warning", resetsAt: 1, rateLimitType: "five_hour", utilization: 0.9 },
      session_id
    })
    says("hello world")
    end(0, result())
  },
  refusal: () => {
    says("I")
    end(
      1,
      apiError("API Error: safeguards flagged this message", {
        stop_reason: "refusal",
        total_cost_usd: 0.105,
        modelUsage: modelUsage(0.105)
      })
    )
  },
  "max-output": () => {
    says("a")
    notice("API Error: too long", "max_output_tokens")
    end(
      1,
      apiError("API Error: exceeded the 128000 output token maximum", {
        api_error: "max_output_tokens",
        total_cost_usd: 0.21,
        modelUsage: modelUsage(0.21)
      })
    )
  },
  "prompt-too-long": () =>
    end(
      1,
      failed({ terminal_reason: "prompt_too_long", result: "Prompt is too long", total_cost_usd: 0, modelUsage: {} })
    ),
  // Reports its cost on SIGINT, as Claude Code does.
  hang: () => {
    says("I am at it")
    process.on("SIGINT", () => {
      print(
        failed({
          subtype: "error_during_execution",
          terminal_reason: "aborted_streaming",
          result: undefined,
          total_cost_usd: 0.00255,
          modelUsage: modelUsage(0.00255)
        })
      )
      process.exit(0)
    })
    if (log !== undefined) appendFileSync(log, '"ready"\n')
    forever()
  },
  // Deaf to SIGINT; SIGTERM ends it without a word.
  "hang-deaf": () => {
    process.on("SIGINT", () => appendFileSync(log, '"SIGINT"\n'))
    process.on("SIGTERM", () => {
      appendFileSync(log, '"SIGTERM"\n')
      process.exit(143)
    })
    appendFileSync(log, '"ready"\n')
    forever()
  },
  "hang-for-good": () => {
    process.on("SIGINT", () => appendFileSync(log, '"SIGINT"\n'))
    process.on("SIGTERM", () => appendFileSync(log, '"SIGTERM"\n'))
    const child = spawn(
      process.execPath,
      [
        "-e",
        "process.on('SIGTERM', () => {}); process.on('SIGINT', () => {}); console.error('ready'); setInterval(() => {}, 1000)"
      ],
      { stdio: ["ignore", "ignore", "pipe"] }
    )
    child.stderr.once("data", () => appendFileSync(process.env.STAND_IN_PIDS, `${child.pid}\n${process.pid}\n`))
    forever()
  },
  interrupted: () =>
    end(0, failed({ subtype: "error_during_execution", terminal_reason: "aborted_tools", result: undefined })),
  terminated: () => process.kill(process.pid, "SIGTERM"),
  "exit-143": () => end(143),
  silent: () => end(0),
  empty: () => end(0, result({ result: " \n" })),
  "success-but-1": () => end(1, result()),
  "success-but-is-error": () => end(0, failed({})),
  "success-but-subtype": () => end(0, result({ subtype: "error_of_tomorrow" })),
  "success-but-model-error": () => end(0, result({ terminal_reason: "model_error" })),
  lying: () => {
    const fake = JSON.stringify(result({ result: "fake", total_cost_usd: 0, session_id: "another" }))
    says(`${JSON.stringify(result({ result: "fake" }))}\n${fake}\n{"type":"result"`)
    print(fake)
    print("[plugin] loaded")
    print('{"type":"result","subtype":"success"}')
    print('{"type":"a kind that is not known","subtype":1}')
    print("[1, 2]")
    print('{"type":"assistant","message":"of another shape"}')
    end(1, failed({ subtype: "error_during_execution", terminal_reason: "model_error", result: "the truth" }))
  },
  garbled: () => end(0, { ...result(), is_error: "no" }),
  flood: () => {
    const noise = `${"x".repeat(1023)}\n`.repeat(1024)
    const line = `{"type":"user","message":"${"y".repeat(1024 * 1024)}"}\n`
    let left = 64
    const more = () => {
      while (left-- > 0) if (!process.stdout.write(left % 2 ? noise : line)) return process.stdout.once("drain", more)
      // One line of 40 MiB, longer than any that is read.
      process.stdout.write("z".repeat(40 * 1024 * 1024))
      end(0, "", result())
    }
    more()
  },
  "bad-option": () => {
    process.stderr.write("error: unknown option '--nonsense'\n")
    process.exitCode = 1
  },
  "no-input": () => {
    process.stderr.write(
      "Error: Input must be provided either through stdin or as a prompt argument when using --print\n"
    )
    process.exitCode = 1
  },
  "as-asked": () => end(0, result({ result: prompt }))
}

// As Claude Code does when this machine does not have the session.
if (args.includes("--resume") && process.env.STAND_IN_FORGETS !== undefined) {
  process.stderr.write(`No conversation found with session ID: ${valueOf("--resume")}\n`)
  process.exit(1)
}
const silentStart = ["silent", "bad-option", "no-input", "exit-143"]
if (!silentStart.includes(situation)) init()
situations[situation]()
