/**
 * Flags for what else is to hear of a run.
 *
 * @since 0.1.0
 */
import type * as Command from "effect/cli/Command"
import { given } from "./envFlag.ts"
import * as Kind from "./Kind.ts"

const command = Kind.text("CMD", "a command line")

const url: Kind.Kind<URL> = {
  metavar: "URL",
  expected: "an address that begins with https:// or http://",
  read: (text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined
    return url !== undefined && /^https?:$/.test(url.protocol) ? url : undefined
  }
}

/**
 * The flags.
 *
 * @category flags
 * @since 0.1.0
 */
export const hookFlags = {
  onComplete: given("on-complete", command, {
    description:
      "Run this program for each completed task: the event as JSON on stdin, BATON_TASK_ID in its environment"
  }),
  onFail: given("on-fail", command, {
    description: "The same for each task that goes to the dead-letter queue, with BATON_FEEDBACK"
  }),
  onEnd: given("on-end", command, { description: "The same once, when the run has ended, with BATON_STOP_REASON" }),
  webhook: given("webhook", url, {
    description:
      "Post these events to this address as JSON, signed with BATON_WEBHOOK_SECRET as Standard Webhooks has it"
  })
}

/** @since 0.1.0 */
export type HookFlags = Command.Command.Config.Infer<typeof hookFlags>
