/**
 * Asks before something is deleted.
 *
 * @since 0.1.0
 */
import * as Prompt from "effect/cli/Prompt"
import { TerminalCapabilities } from "effect/cli/TerminalCapabilities"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { CommandFailed, EndedWith, exitCodes } from "../system/CommandFailed.ts"

/**
 * Goes on when the answer is yes. A no ends the command; where nobody can be asked, so does the lack of `--yes`.
 *
 * @category running
 * @since 0.1.0
 */
export const confirm = Effect.fnUntraced(function* (options: {
  /** What will be deleted, such as `2 tasks`. */
  readonly what: string
  /** Whether `--yes` has answered already. */
  readonly yes: boolean
}) {
  if (options.yes) return
  const { canPrompt } = yield* TerminalCapabilities
  if (!canPrompt) {
    return yield* new CommandFailed({
      message: `This deletes ${options.what} for good, and nobody can be asked here: add --yes if that is meant.`
    })
  }
  const prompt = Prompt.Confirm({ message: `Delete ${options.what} with all history, for good?` })
  // Ctrl-C leaves the cursor behind the question.
  const answer = yield* Effect.tapErrorTag(Prompt.run(prompt), "QuitError", () => Console.error(""))
  if (answer) return
  yield* Console.error("Nothing was deleted.")
  return yield* new EndedWith({ exitCode: exitCodes.error })
})
