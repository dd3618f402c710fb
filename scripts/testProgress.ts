import { DefaultReporter, type TestModule, type TestSpecification } from "vitest/node"

/** Prints a line for each file of tests, and every ten files how many are left. */
export default class TestProgress extends DefaultReporter {
  private files = 0
  private ended = 0
  private failed = 0
  private readonly began = Date.now()

  override onTestRunStart(specifications: ReadonlyArray<TestSpecification>) {
    this.files = specifications.length
    super.onTestRunStart(specifications)
  }

  override onTestModuleEnd(module: TestModule) {
    super.onTestModuleEnd(module)
    this.ended++
    if (!module.ok()) this.failed++
    if (this.ended % 10 === 0 && this.ended < this.files) {
      const seconds = Math.round((Date.now() - this.began) / 1000)
      const failures = this.failed === 0 ? "" : `, ${this.failed} failed`
      this.log(`   ${this.ended} of ${this.files} files tested in ${seconds} s${failures}`)
    }
  }
}
