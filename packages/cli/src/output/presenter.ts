/**
 * What the command line says about itself: help, version, and what is wrong with a command line.
 *
 * @since 0.1.0
 */
import * as CliOutput from "effect/cli/CliOutput"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"

/**
 * A command line that cannot be understood gets the reason and the way to the help, on standard error, not the whole help.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never> = CliOutput.layerPresenter({
  present: Effect.fnUntraced(function* (event) {
    switch (event._tag) {
      case "Version":
        return yield* Console.log(event.version)
      case "Help":
        return yield* CliOutput.defaultPresenter.present(event)
      case "InvalidInvocation": {
        const { formatCliError } = yield* CliOutput.Formatter
        for (const error of event.errors) yield* Console.error(`error: ${formatCliError(error)}`)
        return yield* Console.error(`\nTry \`${event.commandPath.join(" ")} --help\`.`)
      }
    }
  })
})
