/** The lines of `baton chaos`. */
import type { FaultTestResult } from "@baton/crash/faultTest"
import { table } from "@baton/crash/report"
import { count, number } from "./quantity.ts"

/** What a round is about to do. */
export const beginning = (options: {
  readonly workers: number
  readonly tasks: number
  readonly seed: number
  readonly where: string
}): string =>
  `Testing with ${count(options.tasks, "task")} and ${count(options.workers, "worker")} that are killed and frozen (seed ${options.seed}), in ${options.where}, which is removed afterwards ...`

/** The result of one round. */
export const roundLine = ({ findings, injected, seconds, tasks }: FaultTestResult, seed: number): string => {
  const { freeze, kill } = injected.counts
  const faults = `${count(kill, "kill")}, ${count(freeze, "freeze")}`
  return findings.violations.length === 0
    ? `✓ seed ${seed}: ${count(tasks, "task")}, ${faults}: none lost, none settled twice, in ${seconds} s`
    : `✗ seed ${seed}: ${count(tasks, "task")}, ${faults}: ${findings.lost} lost, ${findings.settledTwice} settled twice, ${count(findings.violations.length, "violation")}`
}

/** How to repeat a round that has failed. */
export const repeatLine = (options: {
  readonly store: string
  readonly tasks: number
  readonly seed: number
}): string => `Repeat it with: baton chaos --store '${options.store}' --tasks ${options.tasks} --seed ${options.seed}`

/** The table of all rounds, and the verdict. */
export const totalLines = (results: ReadonlyArray<FaultTestResult>): ReadonlyArray<string> => {
  const sum = (of: (result: FaultTestResult) => number) => results.reduce((total, result) => total + of(result), 0)
  const faults = sum(({ injected }) => injected.counts.kill + injected.counts.freeze)
  return [
    "",
    ...table(results).split("\n"),
    "",
    `✓ The store kept its promises: ${number(sum(({ tasks }) => tasks))} tasks and ${count(faults, "fault")} in ${count(results.length, "round")}.`
  ]
}
