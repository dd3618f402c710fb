import { members } from "./indexes.ts"
import { leases, tasks, writes } from "./library.ts"
import { script } from "./prelude.ts"

/** Arguments: for each report: id, token, report. Deletes the rest of attempts that have ended. */
export const saveProgress = script(
  [members, tasks, writes, leases],
  String.raw`
local ids = redis.call('HKEYS', PROGRESS)
local before = #ids
for at = FIRST, #ARGV, 3 do ids[#ids + 1] = ARGV[at] end
load(ids)
for index = 1, before do
  local id = ids[index]
  local token = match(redis.call('HGET', PROGRESS, id), '^%S+')
  if not isLeased(tasks[id], token) then redis.call('HDEL', PROGRESS, id) end
end
for at = FIRST, #ARGV, 3 do
  local id, token = ARGV[at], ARGV[at + 1]
  if isLeased(tasks[id], token) then redis.call('HSET', PROGRESS, id, token .. ' ' .. ARGV[at + 2]) end
end
`
)

/** Argument: the id. Returns what the attempt under way has reported. */
export const readProgress = script(
  [members, tasks, writes, leases],
  String.raw`
local id = ARGV[FIRST]
local line = redis.call('HGET', PROGRESS, id)
if not line then return nil end
load({ id })
local token, report = match(line, '^(%S+) (.*)$')
return isLeased(tasks[id], token) and report
`
)
