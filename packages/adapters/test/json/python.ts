import { spawnSync } from "node:child_process"

/** Whether Python is installed. */
export const hasPython = spawnSync("python3", ["--version"]).status === 0

/** The output of a Python program, with `argument` as its only argument. */
export const python = (program: string, argument: string): string => {
  const { status, stderr, stdout } = spawnSync("python3", ["-c", program, argument], { encoding: "utf8" })
  if (status !== 0) throw new Error(stderr)
  return stdout
}

const model = `
import json, sys
from enum import Enum
from pathlib import Path

class TaskStatus(Enum):
    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"

path = Path(sys.argv[1])
tasks = {}
with open(path, "r") as f:
    for each in json.load(f).get("tasks", []):
        tasks[each["id"]] = dict(
            id=each["id"],
            description=each["description"],
            status=TaskStatus(each.get("status", "pending")),
            result=each.get("result"),
            attempts=each.get("attempts", 0),
            metadata=each.get("metadata", {}),
        )
`

/** Loads the file as the lab's orchestrator does, and prints its tasks. */
export const load = `${model}
print(json.dumps([dict(task, status=task["status"].value) for task in tasks.values()]))
`

/** Loads and saves the file, as the lab's orchestrator does with every change. */
export const loadAndSave = `${model}
with open(path, "w") as f:
    json.dump({"tasks": [dict(task, status=task["status"].value) for task in tasks.values()]}, f, indent=2)
`

/** Prints the file as Python writes it. */
export const rewrite = `
import json, sys
with open(sys.argv[1]) as f:
    print(json.dumps(json.load(f), indent=2), end="")
`
