/**
 * Leaves no program behind when the process has to end at once.
 *
 * In good order every program is stopped by the scope that it runs in. A second signal does not wait for that, so the
 * groups of the programs that still run are killed while the process exits.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ChildProcessSpawner from "effect/process/ChildProcessSpawner"

/**
 * The spawner of the surroundings, with its programs accounted for.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<
  ChildProcessSpawner.ChildProcessSpawner,
  never,
  ChildProcessSpawner.ChildProcessSpawner
> = Layer.effect(
  ChildProcessSpawner.ChildProcessSpawner,
  Effect.gen(function* () {
    const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
    const running = new Set<number>()
    const killAll = () => {
      for (const pid of running) kill(pid)
    }
    yield* Effect.acquireRelease(
      Effect.sync(() => process.on("exit", killAll)),
      () => Effect.sync(() => process.off("exit", killAll))
    )
    return ChildProcessSpawner.make(
      Effect.fnUntraced(function* (command) {
        let pid: number | undefined
        // Registered before the program starts, so that it runs after the program is gone.
        yield* Effect.addFinalizer(() => Effect.sync(() => pid !== undefined && running.delete(pid)))
        const handle = yield* spawner.spawn(command)
        pid = handle.pid
        running.add(pid)
        return handle
      })
    )
  })
)

const kill = (pid: number) => {
  try {
    process.kill(-pid, "SIGKILL")
  } catch {
    // It has ended, or was never the leader of a group.
  }
}
