/** The models of `--executor openai` and `--verifier openai`, which have no default. */
import * as Effect from "effect/Effect"
import type { RunFlags } from "../../settings/flags.ts"
import { CommandFailed } from "../../system/CommandFailed.ts"

/** Fails with a message for the user if a part that uses an OpenAI-compatible server has no model. */
export const checkNames = (
  { judgeModel, model }: Pick<RunFlags, "model" | "judgeModel">,
  apis: { readonly executor: string | undefined; readonly verifier: string | undefined }
): Effect.Effect<void, CommandFailed> => {
  if (apis.executor === "openai" && model.origin === "default") return missing("--executor", "--model")
  if (apis.verifier === "openai" && judgeModel.origin === "default") return missing("--verifier", "--judge-model")
  return Effect.void
}

const missing = (part: string, flag: string) =>
  Effect.fail(
    new CommandFailed({
      message: `${part} openai needs the name of a model of the server. Add ${flag} MODEL.`
    })
  )
