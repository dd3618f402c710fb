/**
 * `baton dlq`
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import { list } from "./list.ts"
import { purge } from "./purge.ts"
import { requeue } from "./requeue.ts"

/**
 * The commands around the dead-letter queue.
 *
 * @category commands
 * @since 0.1.0
 */
export const dlq = Command.make("dlq").pipe(
  Command.withDescription(
    "The dead-letter queue: tasks that used up their attempts, or that trying again would not help. They stay, with their whole history, until they are requeued or purged."
  ),
  Command.withShortDescription("See, requeue or purge what failed"),
  Command.withSubcommands([list, requeue, purge])
)
