import { between, generator, seedOf } from "./random.ts"

/** The scripted result of one attempt at a task. */
export interface Behaviour {
  readonly execution: "succeeds" | "fails" | "is refused"
  readonly executionMillis: number
  /** `breaks` gives no verdict, so the next attempt has to verify the saved output. */
  readonly verification: "passes" | "rejects" | "breaks"
  readonly verificationMillis: number
}

/** Depends on the seed, the task and the attempt only, so every process computes the same behaviour. */
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
