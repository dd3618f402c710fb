import * as Administration from "./administration.ts"
import * as Budgets from "./budgets.ts"
import * as Claiming from "./claiming.ts"
import * as Keys from "./keys.ts"
import * as Leases from "./leases.ts"
import type { Names } from "./names.ts"
import * as Pauses from "./pauses.ts"
import * as Progress from "./progress.ts"
import * as Reading from "./reading.ts"
import * as Reviews from "./reviews.ts"
import * as Settling from "./settling.ts"
import * as Sweeping from "./sweeping.ts"

/** The statements of one store, except for those that add tasks. */
export interface Statements extends ReturnType<typeof make> {}

export const make = (names: Names) => ({
  ...Claiming.statements(names),
  ...Keys.statements(names),
  ...Leases.statements(names),
  ...Settling.statements(names),
  ...Reviews.statements(names),
  ...Sweeping.statements(names),
  ...Administration.statements(names),
  ...Reading.statements(names),
  ...Budgets.statements(names),
  ...Pauses.statements(names),
  ...Progress.statements(names)
})
