import { between, generator, seedOf } from "./random.ts"

/** What one attempt at a task does. */
export interface Behaviour {
  readonly execution: "succeeds" | "fails" | "is refused"
  readonly executionMillis: number
  /** `breaks`: no verdict, so that the saved output has to be verified by the next attempt. */
  readonly verification: "passes" | "rejects" | "breaks"
  readonly verificationMillis: number
}

/** The same for the same attempt under the same seed, in whatever process it runs. */
export const behaviourOf = (seed: number, pace: number, task: string, attempt: number): Behaviour => {
  const random = generator(seedOf(seed, task, attempt))
  const [execution, verification] = [random(), random()]
  return {
    execution: seedOf(seed, task) % 100 === 0 ? "is refused" : execution < 0.08 ? "fails" : "succeeds",
    executionMillis: pace * between(random, 0, 50),
    verification: verification < 0.08 ? "rejects" : verification < 0.14 ? "breaks" : "passes",
    verificationMillis: pace * between(random, 0, 20)
  }
}
