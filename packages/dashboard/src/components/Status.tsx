import type { Attempt, TaskItem } from "../schema.ts"

const statusNames: Record<TaskItem["status"], string> = {
  pending: "Pending",
  in_progress: "Running",
  in_review: "In review",
  completed: "Completed",
  failed: "Failed",
  cancelled: "Cancelled"
}

const outcomeNames: Record<Attempt["outcome"], string> = {
  claimed: "Claimed",
  running: "Running",
  in_review: "In review",
  completed: "Completed",
  retried: "Retried",
  failed: "Failed",
  released: "Released",
  lease_expired: "Lease expired",
  cancelled: "Cancelled"
}

export const statusName = (status: TaskItem["status"]): string => statusNames[status]

export const StatusBadge = ({ status }: { readonly status: TaskItem["status"] }) => (
  <span className="badge" data-status={status}>
    {statusNames[status]}
  </span>
)

export const OutcomeBadge = ({ outcome }: { readonly outcome: Attempt["outcome"] }) => (
  <span className="badge" data-status={outcome}>
    {outcomeNames[outcome]}
  </span>
)
