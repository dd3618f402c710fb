import type { Budget } from "../schema.ts"
import { spent } from "../text/budget.ts"

/** What a queue has spent and reserved of each of its limits. */
export const BudgetLines = ({ budget }: { readonly budget: Budget }) => (
  <ul className="budget">
    {spent(budget).map(({ committed, reserved, text }) => (
      <li key={text}>
        <span className="budget-bar" aria-hidden="true">
          <span data-part="committed" style={{ width: `${committed * 100}%` }} />
          <span data-part="reserved" style={{ width: `${reserved * 100}%` }} />
        </span>
        {text}
      </li>
    ))}
  </ul>
)
