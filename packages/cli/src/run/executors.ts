/**
 * The executors and verifiers that have a name, for `--executor` and `--verifier`. Each is loaded when it is chosen.
 */
import type { Executor } from "@baton/core/Executor"
import type { Verifier } from "@baton/core/Verifier"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Layer from "effect/Layer"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Project from "../settings/Project.ts"
import type { Parts } from "../claude/parts.ts"
import type { CommandFailed } from "../system/CommandFailed.ts"

/** What parts with a name are made from. */
export interface Ingredients {
  /** The parts that ask Claude; made where one of them is chosen. */
  readonly claude: Parts | undefined
  /** Made where it is chosen. */
  readonly claudeCode?: Layer.Layer<Executor, never, Platform> | undefined
}

type Platform = ChildProcessSpawner | FileSystem.FileSystem

const claude = ({ claude }: Ingredients) =>
  claude === undefined ? Effect.die(new Error("no part for Claude was made")) : Effect.succeed(claude)

type Named<Service> = (ingredients: Ingredients) => Effect.Effect<Layer.Layer<Service, CommandFailed, Platform>>

/** The executors, by name. */
export const executors = {
  /** Answers at once, does nothing and costs nothing. */
  fake: () =>
    Effect.map(
      Effect.promise(() => import("@baton/core/Executor")),
      ({ layerFake }) => layerFake()
    ),
  /** Claude's API. */
  claude: (ingredients) => Effect.map(claude(ingredients), ({ executor }) => executor),
  /** `claude -p`. */
  "claude-code": ({ claudeCode }) =>
    claudeCode === undefined ? Effect.die(new Error("no Claude Code was made")) : Effect.succeed(claudeCode),
  /** The layer of the configuration. */
  config: () =>
    Effect.map(
      Effect.promise(() => import("@baton/core/Executor")),
      ({ Executor }) => Project.part("executor", Executor)
    )
} as const satisfies Record<string, Named<Executor>>

/** The verifiers, by name. */
export const verifiers = {
  "always-pass": () =>
    Effect.map(
      Effect.promise(() => import("@baton/core/Verifier")),
      ({ layerAlwaysPass }) => layerAlwaysPass
    ),
  /** Claude's API. */
  claude: (ingredients) => Effect.map(claude(ingredients), ({ verifier }) => verifier),
  /** The layer of the configuration. */
  config: () =>
    Effect.map(
      Effect.promise(() => import("@baton/core/Verifier")),
      ({ Verifier }) => Project.part("verifier", Verifier)
    )
} as const satisfies Record<string, Named<Verifier>>
