import { budgets } from "./budgets.ts"
import { members } from "./indexes.ts"
import { leases, tasks, writes } from "./library.ts"
import { script } from "./prelude.ts"

/**
 * The journal of batches. The hash `batches` has these fields; the sorted set `batch_keys` has `open:` and the run of a batch that
 * has not ended, and for each request its run, a colon and its key.
 *
 * - `b` and the run: number of requests, time of creation, name of the queue
 * - `i` and the run: the id of the batch
 * - `r` and the key: run, token, reserved cost and tokens, state, task. The state is `-` without an answer, `y` with a reply, `n`
 *   with an answer that is none
 * - `a` and the key: the answer; `t` and the key: the task that has taken the reply
 */
const journal = String.raw`
local Run, LeaseToken, ReservedCost, ReservedTokens, State, OfTask = 1, 2, 3, 4, 5, 6

local function batchOf(run)
  local line = redis.call('HGET', BATCHES, 'b' .. run)
  if not line then return nil end
  local size, created, name = match(line, '^(%S+) (%S+) (.*)$')
  return { size = tonumber(size), created = created, queue = name }
end

local function saveBatch(run, batch)
  write(HSET, BATCHES, 'b' .. run, text(batch.size) .. ' ' .. batch.created .. ' ' .. batch.queue)
end

local function fieldsOf(letter, keys)
  local fields = {}
  for index, key in ipairs(keys) do fields[index] = letter .. key end
  return mget(BATCHES, fields)
end

-- The requests with these keys, by their place; nil for an unknown one.
local function requestsOf(keys)
  local found = {}
  for index, line in ipairs(fieldsOf('r', keys)) do
    if line then found[index] = { match(line, '^(%S+) (%S+) (%S+) (%S+) (%S+) (.*)$') } end
  end
  return found
end

local function saveRequest(key, request)
  write(HSET, BATCHES, 'r' .. key, concat(request, ' '))
end

-- The keys of the requests of a batch, in their order.
local function keysOf(run)
  local keys = {}
  for index, member in ipairs(membersOf(BATCH_KEYS, run .. ':')) do keys[index] = sub(member, #run + 2) end
  return keys
end

-- Behind each key, its run, answer, whether that is a reply, and the task that has taken it.
local function entries(keys)
  local rows, found = {}, requestsOf(keys)
  local answers, taken = fieldsOf('a', keys), fieldsOf('t', keys)
  for index, key in ipairs(keys) do
    local request = found[index]
    if request then
      local isReply = request[State] == 'y' and '1' or '0'
      rows[#rows + 1] = { key, request[Run], answers[index], isReply, taken[index] }
    end
  end
  return rows
end

local function argumentsFrom(first, size)
  local found = {}
  for at = first, #ARGV, size do found[#found + 1] = ARGV[at] end
  return found
end
`

const parts = [members, tasks, writes, leases, budgets, journal]

/**
 * Arguments: run, queue, then for each request: key, task, token, reserved cost and tokens. Returns the keys that exist and those
 * whose lease was lost.
 */
export const beginBatch = script(
  parts,
  String.raw`
local run, name = ARGV[FIRST], ARGV[FIRST + 1]
local keys, ids = argumentsFrom(FIRST + 2, 5), argumentsFrom(FIRST + 3, 5)
load(ids)
local requests, existing, gone = requestsOf(keys), {}, {}
local batch = batchOf(run) or { size = 0, created = nowText, queue = name }
local added = 0
for index, key in ipairs(keys) do
  local at = FIRST + 2 + (index - 1) * 5
  local id, token, before = ids[index], ARGV[at + 2], requests[index]
  if before and before[Run] == run then
    -- The answer to an earlier call was lost.
  elseif before and before[State] ~= 'n' then
    existing[#existing + 1] = key
  elseif not isLeased(tasks[id], token) then
    gone[#gone + 1] = key
  else
    local own, isKnown = spendingOf(id, token)
    local cost, tokens = math.min(own[3], tonumber(ARGV[at + 3])), math.min(own[4], tonumber(ARGV[at + 4]))
    if isKnown then
      write(HSET, SPENDING, id, token .. ' ' .. printed({ own[1], own[2], own[3] - cost, own[4] - tokens }))
    end
    if before then
      write(ZREM, BATCH_KEYS, before[Run] .. ':' .. key)
      write(HDEL, BATCHES, 'a' .. key)
    end
    saveRequest(key, { run, token, text(cost), text(tokens), '-', id })
    write(ZADD, BATCH_KEYS, '0', run .. ':' .. key)
    added = added + 1
  end
end
if added > 0 then
  batch.size = batch.size + added
  saveBatch(run, batch)
  write(ZADD, BATCH_KEYS, '0', 'open:' .. run)
end
commit()
return { existing, gone }
`
)

/** Arguments: run, id. */
export const batchCreated = script(
  parts,
  String.raw`
if batchOf(ARGV[FIRST]) then write(HSET, BATCHES, 'i' .. ARGV[FIRST], ARGV[FIRST + 1]) end
commit()
return 1
`
)

/** Arguments: keys. Returns their rows. */
export const findRequests = script(parts, "return entries(argumentsFrom(FIRST, 1))")

/** Arguments: for each request its key and task. Returns their rows. */
export const takeReplies = script(
  parts,
  String.raw`
local keys = argumentsFrom(FIRST, 2)
local rows = entries(keys)
local byKey = {}
for index, key in ipairs(keys) do byKey[key] = ARGV[FIRST + 2 * index - 1] end
for _, row in ipairs(rows) do
  if row[4] == '1' and not row[5] then
    row[5] = byKey[row[1]]
    write(HSET, BATCHES, 't' .. row[1], row[5])
  end
end
commit()
return rows
`
)

/** Arguments: run. Returns keys. */
export const unansweredRequests = script(
  parts,
  String.raw`
local keys, open = keysOf(ARGV[FIRST]), {}
for index, request in pairs(requestsOf(keys)) do
  if request[State] == '-' then open[#open + 1] = keys[index] end
end
return open
`
)

/**
 * Arguments: run, then for each answer: key, text, `y` for a reply or `n`, cost and tokens or nothing, the task or nothing.
 * Returns the keys that were recorded.
 */
export const recordAnswers = script(
  parts,
  String.raw`
local run = ARGV[FIRST]
local keys, recorded = argumentsFrom(FIRST + 1, 6), {}
local requests = requestsOf(keys)
local batch = batchOf(run)
local budget = batch and budgetOf(batch.queue)
for index, key in ipairs(keys) do
  local at, request = FIRST + 1 + (index - 1) * 6, requests[index]
  if request and request[Run] == run and request[State] == '-' then
    if budget then
      local cost, tokens = tonumber(request[ReservedCost]), tonumber(request[ReservedTokens])
      budget[Cost] = budget[Cost] + (tonumber(ARGV[at + 3]) or cost)
      budget[Tokens] = budget[Tokens] + (tonumber(ARGV[at + 4]) or tokens)
      budget[HeldCost], budget[HeldTokens] = budget[HeldCost] - cost, budget[HeldTokens] - tokens
      changedBudgets[batch.queue] = budget
    end
    request[ReservedCost], request[ReservedTokens], request[State] = '0', '0', ARGV[at + 2]
    saveRequest(key, request)
    write(HSET, BATCHES, 'a' .. key, ARGV[at + 1])
    if ARGV[at + 5] ~= '' then write(HSET, BATCHES, 't' .. key, ARGV[at + 5]) end
    recorded[#recorded + 1] = key
  end
end
saveBudgets()
commit()
return recorded
`
)

/** Arguments: run. */
export const dropBatch = script(
  parts,
  String.raw`
local run = ARGV[FIRST]
local batch = batchOf(run)
if not batch then return 0 end
local keys = keysOf(run)
local requests, ids, open, hasAnswers = requestsOf(keys), {}, {}, false
for index, key in ipairs(keys) do
  local request = requests[index]
  if request and request[State] == '-' then
    open[#open + 1] = index
    ids[#ids + 1] = request[OfTask]
  else
    hasAnswers = true
  end
end
load(ids)
local budget, returned = budgetOf(batch.queue), {}
for _, index in ipairs(open) do
  local key, request = keys[index], requests[index]
  local id, token = request[OfTask], request[LeaseToken]
  local cost, tokens = tonumber(request[ReservedCost]), tonumber(request[ReservedTokens])
  if isLeased(tasks[id], token) then
    local own = returned[id]
    if not own then
      own = spendingOf(id, token)
      own.token = token
      returned[id] = own
    end
    own[3], own[4] = own[3] + cost, own[4] + tokens
  elseif budget then
    budget[HeldCost], budget[HeldTokens] = budget[HeldCost] - cost, budget[HeldTokens] - tokens
    changedBudgets[batch.queue] = budget
  end
  write(HDEL, BATCHES, 'r' .. key)
  write(ZREM, BATCH_KEYS, run .. ':' .. key)
end
if budget then
  for id, own in pairs(returned) do write(HSET, SPENDING, id, own.token .. ' ' .. printed(own)) end
end
write(ZREM, BATCH_KEYS, 'open:' .. run)
if not hasAnswers then
  write(HDEL, BATCHES, 'b' .. run, 'i' .. run)
end
saveBudgets()
commit()
return 1
`
)

/** Arguments: run. */
export const endBatch = script(
  parts,
  String.raw`
write(ZREM, BATCH_KEYS, 'open:' .. ARGV[FIRST])
commit()
return 1
`
)

/** Returns the batches that have not ended: run, queue, id, number of requests, time of creation. */
export const listBatches = script(
  parts,
  String.raw`
local rows = {}
for _, member in ipairs(membersOf(BATCH_KEYS, 'open:')) do
  local run = sub(member, 6)
  local batch = batchOf(run)
  if batch then
    rows[#rows + 1] = { run, batch.queue, redis.call('HGET', BATCHES, 'i' .. run), text(batch.size), batch.created }
  end
end
return rows
`
)

/** Argument: milliseconds. Removes batches that have ended and were created that long ago. */
export const pruneBatches = script(
  parts,
  String.raw`
local before, last = now - tonumber(ARGV[FIRST]), nil
for _, member in ipairs(redis.call('ZRANGE', BATCH_KEYS, 0, -1)) do
  local run = match(member, '^([^:]*):')
  if run ~= 'open' and run ~= last then
    last = run
    local batch = batchOf(run)
    if batch and tonumber(batch.created) < before and not redis.call('ZSCORE', BATCH_KEYS, 'open:' .. run) then
      for _, key in ipairs(keysOf(run)) do
        for _, letter in ipairs({ 'r', 'a', 't' }) do write(HDEL, BATCHES, letter .. key) end
        write(ZREM, BATCH_KEYS, run .. ':' .. key)
      end
      write(HDEL, BATCHES, 'b' .. run, 'i' .. run)
    end
  end
end
commit()
return 1
`
)
