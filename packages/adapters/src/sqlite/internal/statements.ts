import * as Adding from "./adding.ts"
import * as Administration from "./administration.ts"
import * as Batches from "./batches.ts"
import * as Budgets from "./budgets.ts"
import * as Claiming from "./claiming.ts"
import * as Keys from "./keys.ts"
import * as Leases from "./leases.ts"
import * as Pauses from "./pauses.ts"
import { type Prepared, preparing } from "./preparing.ts"
import * as Progress from "./progress.ts"
import * as Reading from "./reading.ts"
import * as Repair from "./repair.ts"
import * as Reviews from "./reviews.ts"
import * as Settling from "./settling.ts"
import * as Sweeping from "./sweeping.ts"
import * as Transitions from "./transitions.ts"

/** Every statement of the store. */
export interface Statements extends ReturnType<typeof make> {}

/**
 * A batch runs one of these in a loop inside one transaction: measured against single statements over `json_each`, that is
 * faster for all that write texts. A statement that names an index is only fast with that index; with the name, a change
 * that loses the index makes the statement fail.
 *
 * `LIMIT +?`, because SQLite plans for the value of `LIMIT ?`, and prepares the statement again whenever that is bound: a claim
 * of one task takes 6 µs instead of 100.
 */
export const make = (prepared: Prepared) => {
  const by = preparing(prepared)
  return {
    ...Reading.statements(by),
    ...Adding.statements(by),
    ...Claiming.statements(by),
    ...Keys.statements(by),
    ...Leases.statements(by),
    ...Settling.statements(by),
    ...Sweeping.statements(by),
    ...Reviews.statements(by),
    ...Administration.statements(by),
    ...Repair.statements(by),
    ...Transitions.statements(by),
    ...Budgets.statements(by),
    ...Pauses.statements(by),
    ...Progress.statements(by),
    ...Batches.statements(by)
  }
}
