/**
 * Tasks as rows of a table, for people.
 *
 * @since 0.1.0
 */
import type { Task } from "@baton/core/Task"
import * as Duration from "effect/Duration"
import { cost as costOf } from "./quantity.ts"
import { firstLine } from "./safeText.ts"
import * as Style from "./style.ts"
import type { Canvas, Column } from "./table.ts"
import { age } from "./time.ts"

/**
 * The status in words.
 *
 * @category converting
 * @since 0.1.0
 */
export const statusWord = (task: Pick<Task, "status">): string => task.status.replace("_", " ")

const changed = (task: Task, now: number): string => age(Duration.millis(now - task.updatedAt.epochMilliseconds))

/**
 * The columns of `baton list`. Priorities and costs take room only when there are some.
 *
 * @category constructors
 * @since 0.1.0
 */
export const taskColumns =
  ({ style }: Canvas, now: number) =>
  (first: ReadonlyArray<Task>): ReadonlyArray<Column<Task>> => {
    const priority: Column<Task> = { header: "PRIO", align: "right", text: (task) => String(task.priority) }
    const cost: Column<Task> = {
      header: "COST",
      align: "right",
      text: ({ usage }) => (usage === null ? "" : costOf(usage).replace("cost unknown", "unknown"))
    }
    return [
      { header: "ID", flexible: true, text: (task) => firstLine(task.id) },
      { header: "STATUS", text: statusWord, paint: (task) => Style.ofStatus(style, task.status) },
      { header: "TRIES", align: "right", text: (task) => String(task.attempts) },
      ...(first.some((task) => task.priority !== 0) ? [priority] : []),
      ...(first.some((task) => task.usage !== null) ? [cost] : []),
      { header: "CHANGED", align: "right", text: (task) => changed(task, now), paint: () => style.dim },
      { header: "DESCRIPTION", text: (task) => firstLine(task.description) }
    ]
  }

/**
 * The columns of `baton dlq list`: what died, and why.
 *
 * @category constructors
 * @since 0.1.0
 */
export const deadLetterColumns =
  ({ style }: Canvas, now: number) =>
  (): ReadonlyArray<Column<Task>> => [
    { header: "ID", flexible: true, text: (task) => firstLine(task.id) },
    { header: "TRIES", align: "right", text: (task) => String(task.attempts) },
    { header: "CHANGED", align: "right", text: (task) => changed(task, now), paint: () => style.dim },
    { header: "FEEDBACK", text: (task) => firstLine(task.feedback ?? "") || "no feedback" }
  ]
