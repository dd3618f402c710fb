import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/** Files that start processes take longest and are short. By size they would come last, when no other file is left to run. */
class ProcessesFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>) {
    const sorted = await super.sort(files)
    const isFirst = ({ moduleId }: TestSpecification) => moduleId.endsWith(".integration.test.ts")
    return [...sorted.filter(isFirst), ...sorted.filter((file) => !isFirst(file))]
  }
}

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    reporters: ["../../scripts/testProgress.ts"],
    // The report of a file names its tests only if one takes longer.
    slowTestThreshold: 10_000,
    // Tests make many short-lived objects. With more room for them, collecting them takes less time.
    execArgv: ["--max-semi-space-size=64"],
    // Tests undo their changes, so files can share a worker: that takes half the time.
    isolate: false,
    // Most of the time, tests wait for the processes that they start.
    maxWorkers: 2,
    sequence: { sequencer: ProcessesFirst },
    globalSetup: ["../adapters/test/servers/globalSetup.ts"],
    // Ends a test that hangs. A busy machine takes many times as long as a quiet one.
    testTimeout: 600_000,
    hookTimeout: 600_000
  }
})
