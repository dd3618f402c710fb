import { keys, members, places, queue } from "./indexes.ts"
import { budgets } from "./budgets.ts"
import { edges, leases, rows, saving, tasks, unblocking, writes } from "./library.ts"
import { script } from "./prelude.ts"
import { usage } from "./usage.ts"

/** Makes settlements known. Not a part of `settle`, because many of them are made known together. */
export const publishSettled = script([members, writes], "publish('settled')")

/**
 * Arguments: for each group of settlements: the decision, the token, and how many they are; for each of them: id, result
 * (execution, verification and usage of the attempt, a line each), and those of usage, error, feedback, checkpoint and spent
 * amount (cost and tokens) that the decision names.
 *
 * A decision is: outcome, status, the number of attempts that are returned, in how many milliseconds the task is available
 * (or `-`), verified, and the first letters of what follows. Returns for each lost lease: index, status, and how the ledger
 * says that the attempt ended.
 */
export const settle = script(
  [members, tasks, writes, places, keys, queue, saving, rows, edges, unblocking, leases, budgets, usage],
  String.raw`
-- Most settlements of a call have the same decision.
local decisions = {}
local function decide(words)
  local decision = decisions[words]
  if not decision then
    local outcome, status, returned, available, verified, fields = match(words, '^(%S+) (%S+) (%S+) (%S+) (%S+) ?(%S*)$')
    decision = {
      outcome = outcome, status = status, returned = tonumber(returned), verified = verified, size = 2 + #fields,
      available = available ~= '-' and text(later(tonumber(available))), isReleased = outcome == 'released',
      usage = find(fields, 'u', 1, true), failure = find(fields, 'e', 1, true),
      feedback = find(fields, 'f', 1, true), checkpoint = find(fields, 'c', 1, true), spent = find(fields, 's', 1, true),
      effects = { [true] = {}, [false] = {} }
    }
    decisions[words] = decision
  end
  return decision
end

-- The changes of a task apart from its id, its 'seq' and the result of the attempt. 'state' is its line after the 'seq'.
local function settled(state, line, decision, isExecuted)
  local task = parse('', '0' .. state)
  begin(task, line)
  local effect = {
    token = text(task[Token]), saved = task[Attempt].saved, hasEarlier = task[Previous] ~= '-' or task[Attempt].saved,
    queue = task[Queue], prefix = queueOf(task), lease = leaseMember(task), key = keyOf(task)
  }
  effect.before, effect.after = rowAround(task, decision.outcome)
  task[Rows] = task[Rows] + 1
  effect.row = task[Rows] .. ' '
  task[Attempt] = nil
  if decision.isReleased then
    if not hasHadAttempt(task) then task[Previous] = '0' end
  else
    task[Verified] = decision.verified
    if decision.status ~= 'in_review' then
      task[Previous] = isExecuted and decision.outcome ~= 'completed' and task[Rows] or '0'
    elseif not hasHadAttempt(task) then
      -- An output in review has not been rejected yet.
      task[Previous] = '0'
    end
  end
  task[Attempts] = math.max(0, task[Attempts] - decision.returned)
  if decision.available then task[Available] = decision.available end
  task[Status], task[Updated] = decision.status, nowText
  effect.state = sub(print(task), 2)
  effect.stateAndBefore = effect.state .. '\n' .. effect.before
  effect.mostBehindLine = decision.status == 'completed' and MOST_BEHIND_LINE - #effect.before - #effect.after or -1
  return effect
end

-- Tasks that were added and claimed together change in the same way, so this is computed once for all of them.
local function effectOf(state, line, decision, isExecuted)
  local effects = decision.effects[isExecuted]
  local sameState = effects[state]
  if not sameState then
    sameState = {}
    effects[state] = sameState
  end
  local effect = sameState[line]
  if not effect then
    effect = settled(state, line, decision, isExecuted)
    sameState[line] = effect
  end
  return effect
end

-- For each settlement: the id, its place among the arguments, the decision and the token.
local ids, starts, decided, tokens = {}, {}, {}, {}
local at, last, count = FIRST, #ARGV, 0
while at <= last do
  local decision, token = decide(ARGV[at]), ARGV[at + 1]
  local size, from = decision.size, at + 3
  at = from + size * ARGV[at + 2]
  for start = from, at - 1, size do
    count = count + 1
    ids[count], starts[count], decided[count], tokens[count] = ARGV[start], start, decision, token
  end
end
local lines, running = mget(TASKS, ids), mget(RUNNING, ids)

local effects, saving, earlier = {}, {}, {}
for index = 1, count do
  local line = lines[index]
  if line and running[index] then
    local decision = decided[index]
    local effect = effectOf(sub(line, WORD + 1), running[index], decision, byte(ARGV[starts[index] + 1], 1) ~= 10)
    effects[index] = effect.token == tokens[index] and effect
    if effects[index] and effect.saved and decision.isReleased then saving[#saving + 1] = ids[index] end
    if effects[index] and effect.hasEarlier then earlier[#earlier + 1] = ids[index] end
  end
end
local resultOf = checkpointed(saving)
for index, used in ipairs(mget(USAGE, earlier)) do earlier[earlier[index]] = used or nil end

local function outcomeOf(task, token)
  for row = task and task[Rows] or 0, 1, -1 do
    local found, outcome = match(rowOf(task, row) or '', '^%S+ (%S+) %S+ %S+ (%S+)')
    if found == token then return outcome end
  end
end

local completed = {}
for index = 1, count do
  local id, start, effect = ids[index], starts[index], effects[index]
  local decision, result = decided[index], ARGV[start + 1]
  if not effect then
    load({ id })
    lose(index, tasks[id], outcomeOf(tasks[id], tokens[index]))
  else
    local usage = decision.usage and ARGV[start + 1 + decision.usage]
    local failure = decision.failure and ARGV[start + 1 + decision.failure]
    if budgetOf(effect.queue) then
      local cost, tokens = match(decision.spent and ARGV[start + 1 + decision.spent] or '0 0', '^(.*) (.*)$')
      endSpending(id, effect.token, effect.queue, tonumber(cost), tonumber(tokens))
    end
    if usage then write(HSET, USAGE, id, usage) end
    if usage or not decision.isReleased then usages.replace(effect.queue, earlier[id], usage or nil) end
    if decision.isReleased then
      local attemptUsage = sub(result, 3)
      result = resultOf(id, attemptUsage ~= '' and attemptUsage)
    else
      local feedback = decision.feedback and ARGV[start + 1 + decision.feedback]
      local checkpoint = decision.checkpoint and ARGV[start + 1 + decision.checkpoint]
      if feedback then write(HSET, FEEDBACK, id, feedback) end
      if checkpoint then write(HSET, CHECKPOINTS, id, checkpoint) end
      if effect.hasEarlier then
        if not usage then write(HDEL, USAGE, id) end
        if not feedback then write(HDEL, FEEDBACK, id) end
        if not checkpoint then write(HDEL, CHECKPOINTS, id) end
      end
    end
    local seq = sub(lines[index], 1, WORD)
    local line
    if #result <= effect.mostBehindLine and not failure then
      line = seq .. effect.stateAndBefore .. result .. effect.after
    else
      line = seq .. effect.state
      local row = effect.before .. result .. effect.after
      write(HSET, ATTEMPTS, effect.row .. id, failure and row .. '\n' .. failure or row)
    end
    write(HSET, TASKS, id, line)
    write(HDEL, RUNNING, id)
    countLease(effect.lease, -1)
    if effect.key then freeKey(effect.prefix, effect.key) end
    write(ZADD, INDEX[decision.status], '0', effect.prefix .. seq .. id)
    changed[effect.queue] = true
    if decision.status == 'pending' then lineUp(parse(id, line)) end
    if decision.status == 'completed' then completed[#completed + 1] = id end
  end
end
unblock(completed)
saveBudgets()
saveKeys()
usages.save()
commit()
return lost
`
)
