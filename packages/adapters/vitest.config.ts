import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/** The contract suites are the longest tests in the shortest files, so by size they would come last, one after the other. */
class SuitesFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>) {
    const isSuite = ({ moduleId }: TestSpecification) => /TaskStore|pooler/.test(moduleId)
    const sorted = await super.sort(files)
    return [...sorted.filter(isSuite), ...sorted.filter((file) => !isSuite(file))]
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
    globalSetup: ["test/servers/globalSetup.ts"],
    // More than there are processors: most of the time, tests on real servers wait for a lease to end.
    maxWorkers: 4,
    sequence: { sequencer: SuitesFirst },
    // Ends a test that hangs. A busy machine takes many times as long as a quiet one.
    testTimeout: 600_000,
    hookTimeout: 600_000
  }
})
