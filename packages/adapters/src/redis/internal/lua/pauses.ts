import { members } from "./indexes.ts"
import { writes } from "./library.ts"
import { script } from "./prelude.ts"

/** The pauses of queues. Without other parts, it only reads. */
export const pauses = String.raw`
-- The field of a queue: cause, end and end of the probe (each '-' for none) in epoch milliseconds, revision, reason.
local function pauseOf(name)
  local line = redis.call('HGET', PAUSES, name)
  if not line then return nil end
  local cause, ending, probe, revision, reason = match(line, '^(%S+) (%S+) (%S+) (%S+) (.*)$')
  return { cause = cause, ending = ending, probe = probe, revision = revision, reason = reason }
end

local function printPause(pause)
  return concat({ pause.cause, pause.ending, pause.probe, pause.revision, pause.reason }, ' ')
end

-- When tasks of the queue may be claimed.
local function endOfPause(pause)
  if pause.ending == '-' then return math.huge end
  return math.max(tonumber(pause.ending), tonumber(pause.probe) or 0)
end

local function pauseRow(name, pause)
  return {
    name, pause.cause, pause.ending ~= '-' and pause.ending, pause.probe ~= '-' and pause.probe, pause.reason, pause.revision
  }
end
`

/** Returns all pauses. */
export const listPauses = script(
  [pauses],
  String.raw`
local rows = {}
for _, name in ipairs(redis.call('HKEYS', PAUSES)) do rows[#rows + 1] = pauseRow(name, pauseOf(name)) end
return rows
`
)

/** Arguments: the queue, cause, end or '-', reason. Returns the pause. */
export const setPause = script(
  [members, writes, pauses],
  String.raw`
local name = ARGV[FIRST]
local pause = { cause = ARGV[FIRST + 1], ending = ARGV[FIRST + 2], probe = '-', reason = ARGV[FIRST + 3] }
local before = pauseOf(name)
if before and pause.cause == 'usage-limit' then
  local isLonger = before.ending == '-' or (pause.ending ~= '-' and tonumber(before.ending) > tonumber(pause.ending))
  if isLonger and before.cause == 'requested' then
    pause = before
  elseif isLonger then
    pause.ending = before.ending
  end
end
pause.revision = text((tonumber(redis.call('HGET', META, 'revision')) or 0) + 1)
write(HSET, PAUSES, name, printPause(pause))
revised = true
commit()
return pauseRow(name, pause)
`
)

/** Arguments: the queue, and the revision of the pause or nothing. Returns whether there was one. */
export const removePause = script(
  [members, writes, pauses],
  String.raw`
local name, revision = ARGV[FIRST], ARGV[FIRST + 1]
local pause = pauseOf(name)
if not pause or (revision ~= '' and revision ~= pause.revision) then return 0 end
write(HDEL, PAUSES, name)
revised = true
wakeIn(0)
commit()
return 1
`
)
