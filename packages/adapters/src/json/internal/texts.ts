import type { TaskId } from "@baton/core/Task"
import type { Fields } from "./document.ts"

/** The text of a task, and of its fields when it was read. */
export interface Saved {
  readonly text: string
  readonly fields: Fields | undefined
}

/** A change that is ready to be written. */
export interface Prepared {
  /** The texts of all tasks, with the change made. */
  readonly parts: ReadonlyArray<Uint8Array>
  /** Makes the change, once it is written. */
  readonly commit: () => void
}

/** The texts of all tasks in their order, of which few change with each write. */
export interface Texts {
  readonly get: (id: TaskId) => Saved | undefined
  readonly prepare: (removed: Iterable<TaskId>, written: Iterable<readonly [TaskId, Saved]>) => Prepared
}

type Tasks = ReadonlyMap<TaskId, Saved>

/** Neighbours, whose bytes are made together: not for each task, of which there can be a million, and not all anew. */
interface Segment {
  readonly tasks: Tasks
  readonly bytes: Uint8Array
}

const segmentSize = 256

export const make = (encode: (text: string) => Uint8Array): Texts => {
  let segments: ReadonlyArray<Segment> = []
  const places = new Map<TaskId, number>()

  const segment = (tasks: Tasks): Segment => ({
    tasks,
    bytes: encode(Array.from(tasks.values(), ({ text }) => text).join(separator))
  })

  return {
    get: (id) => segments[places.get(id) ?? -1]?.tasks.get(id),
    prepare: (removed, written) => {
      const changed = new Map<number, Map<TaskId, Saved>>()
      const edit = (place: number) => {
        const found = changed.get(place) ?? new Map(segments[place]?.tasks)
        changed.set(place, found)
        return found
      }
      const moved = new Map<TaskId, number | undefined>()
      for (const id of removed) {
        const place = places.get(id)
        if (place === undefined) continue
        edit(place).delete(id)
        moved.set(id, undefined)
      }
      let last = Math.max(0, segments.length - 1)
      for (const [id, saved] of written) {
        let place = moved.has(id) ? moved.get(id) : places.get(id)
        if (place === undefined) {
          if ((changed.get(last) ?? segments[last]?.tasks)?.size === segmentSize) last++
          place = last
          moved.set(id, place)
        }
        edit(place).set(id, saved)
      }
      const next = Array.from({ length: last + 1 }, (_, place) => {
        const tasks = changed.get(place)
        return tasks === undefined ? (segments[place] ?? segment(new Map())) : segment(tasks)
      })
      return {
        parts: next.flatMap(({ bytes, tasks }) => (tasks.size === 0 ? [] : [bytes])),
        commit: () => {
          segments = next
          for (const [id, place] of moved) {
            if (place === undefined) places.delete(id)
            else places.set(id, place)
          }
        }
      }
    }
  }
}

/** What is between two tasks. */
export const separator = ",\n    "
