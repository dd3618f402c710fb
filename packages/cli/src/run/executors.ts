/** The executors and verifiers for `--executor` and `--verifier`, by name. Each module is loaded on demand. */
import type { TaskStore } from "@baton/core/TaskStore"
import type { Executor } from "@baton/core/Executor"
import type { Verifier } from "@baton/core/Verifier"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Layer from "effect/Layer"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as Project from "../settings/Project.ts"
import type { ValueOf } from "../settings/settings.ts"
import type { Parts } from "../models/parts.ts"
import type { CommandFailed } from "../system/CommandFailed.ts"

/** The parts that some executors and verifiers need. */
export interface PartOptions {
  /** The executor and verifier for Claude's API; defined if one of them is selected. */
  readonly claude: Parts | undefined
  /** The executor and verifier for OpenAI-compatible servers; defined if one of them is selected. */
  readonly openai: Parts | undefined
  /** Defined if `claude-code` is selected. */
  readonly claudeCode?: Layer.Layer<Executor, never, Platform> | undefined
}

type Platform = ChildProcessSpawner | FileSystem.FileSystem | TaskStore

const claude = ({ claude }: PartOptions) =>
  claude === undefined ? Effect.die(new Error("the parts for Claude's API are missing")) : Effect.succeed(claude)

const openai = ({ openai }: PartOptions) =>
  openai === undefined ? Effect.die(new Error("the parts for OpenAI's API are missing")) : Effect.succeed(openai)

type Named<Service> = (options: PartOptions) => Effect.Effect<Layer.Layer<Service, CommandFailed, Platform>>

/** The executors, by name. */
export const executors: Readonly<Record<ValueOf<"executor">, Named<Executor>>> = {
  /** Returns a fixed output immediately, at no cost. */
  fake: () =>
    Effect.map(
      Effect.promise(() => import("@baton/core/Executor")),
      ({ layerFake }) => layerFake()
    ),
  /** Claude's API. */
  claude: (options) => Effect.map(claude(options), ({ executor }) => executor),
  /** OpenAI's API, or a compatible server. */
  openai: (options) => Effect.map(openai(options), ({ executor }) => executor),
  /** `claude -p`. */
  "claude-code": ({ claudeCode }) =>
    claudeCode === undefined
      ? Effect.die(new Error("the executor for Claude Code is missing"))
      : Effect.succeed(claudeCode),
  /** The layer of the configuration. */
  config: () =>
    Effect.map(
      Effect.promise(() => import("@baton/core/Executor")),
      ({ Executor }) => Project.part("executor", Executor)
    )
}

/** The verifiers, by name. */
export const verifiers: Readonly<Record<ValueOf<"verifier">, Named<Verifier>>> = {
  "always-pass": () =>
    Effect.map(
      Effect.promise(() => import("@baton/core/Verifier")),
      ({ layerAlwaysPass }) => layerAlwaysPass
    ),
  /** Claude's API. */
  claude: (options) => Effect.map(claude(options), ({ verifier }) => verifier),
  /** OpenAI's API, or a compatible server. */
  openai: (options) => Effect.map(openai(options), ({ verifier }) => verifier),
  /** The layer of the configuration. */
  config: () =>
    Effect.map(
      Effect.promise(() => import("@baton/core/Verifier")),
      ({ Verifier }) => Project.part("verifier", Verifier)
    )
}
