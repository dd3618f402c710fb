import { keys, members, places, queue } from "./indexes.ts"
import { budgets } from "./budgets.ts"
import { edges, leases, rows, saving, tasks, unblocking, writes } from "./library.ts"
import { script } from "./prelude.ts"
import { usage } from "./usage.ts"

/** Makes settlements known. Not a part of `settle`, because many of them are made known together. */
export const publishSettled = script([members, writes], "publish('settled')")

/** The longest row behind a line. */
const mostBehindLine = 1000

/** The smallest group of settlements whose verification gets a number, and how many a store has. */
const fewestAlike = 8
export const mostVerifications = 100

/**
 * Arguments: for each group of settlements: the decision, the token, the text that ends all their results, and how many they
 * are; for each of them: id, result without this text (execution, verification and usage of the attempt, a line each), and
 * those of usage, error, feedback, checkpoint and spent amount (cost and tokens) that the decision names.
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
    count = 0, token = text(task[Token]), hasEarlier = task[Previous] ~= '-' or task[Attempt].saved,
    queue = task[Queue], prefix = queueOf(task), lease = leaseMember(task), key = keyOf(task),
    hasBudget = budgetOf(task[Queue]) and true
  }
  effect.hasRest = effect.hasEarlier or effect.hasBudget
  effect.before, effect.after = rowAround(task, decision.outcome)
  local started = task[Attempt].started
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
  effect.stateAndTaken = effect.state .. '\n' .. text(nowText - (started == '-' and nowText or started)) .. '\n'
  local isTold = decision.status == 'completed' and decision.outcome == 'completed' and decision.returned == 0
  effect.mostBehindLine = isTold and ${mostBehindLine} - #effect.before - #effect.after or -1
  return effect
end

-- Tasks that were added and claimed together change in the same way, so this is computed once for all of them.
local allEffects = {}
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
    allEffects[#allEffects + 1] = effect
  end
  return effect
end

-- The text that ends the results of a group. The number of a verification stands for its text if the group is large enough.
-- When the table is full, the text of a new verification stays.
local function shortened(shared, size)
  local verification, usage = match(shared, '^\n([^\n]+)(\n.*)$')
  if not verification or size < ${fewestAlike} or #shared > ${mostBehindLine} then return shared end
  local written = redis.call('HGET', VERIFICATIONS, verification)
  if not written then
    local number = (redis.call('HGET', VERIFICATIONS, 'count') or 0) + 1
    if number > ${mostVerifications} then return shared end
    written = '@' .. number
    redis.call('HSET', VERIFICATIONS, 'count', number, verification, written, written, verification)
  end
  return '\n' .. written .. usage
end

local groups, ids, count = {}, {}, 0
local at, last = FIRST, #ARGV
while at <= last do
  local decision = decide(ARGV[at])
  local group = { decision = decision, token = ARGV[at + 1], shared = ARGV[at + 2], first = count + 1, start = at + 4 }
  at = group.start + decision.size * ARGV[at + 3]
  for start = group.start, at - 1, decision.size do
    count = count + 1
    ids[count] = ARGV[start]
  end
  group.last = count
  groups[#groups + 1] = group
end
local lines, running = mget(TASKS, ids), mget(RUNNING, ids)

local saving = {}
for _, group in ipairs(groups) do
  if group.decision.isReleased then
    for index = group.first, group.last do
      if running[index] and parseAttempt(running[index]).saved then saving[#saving + 1] = ids[index] end
    end
  end
end
local resultOf = checkpointed(saving)

local function outcomeOf(task, token)
  for row = task and task[Rows] or 0, 1, -1 do
    local found, outcome = match(rowOf(task, row) or '', '^%S+ (%S+) %S+ %S+ (%S+)')
    if found == token then return outcome end
  end
end

-- Settles what most tasks do not have. Returns the result and the failure. 'at' is the place of the result.
local function settleRest(id, at, decision, effect)
  local result, usage = ARGV[at], decision.usage and ARGV[at + decision.usage]
  if effect.hasBudget then
    local cost, tokens = match(decision.spent and ARGV[at + decision.spent] or '0 0', '^(.*) (.*)$')
    endSpending(id, effect.token, effect.queue, tonumber(cost), tonumber(tokens))
  end
  if usage then write(HSET, USAGE, id, usage) end
  if usage or not decision.isReleased then
    usages.replace(effect.queue, effect.hasEarlier and redis.call('HGET', USAGE, id), usage)
  end
  if decision.isReleased then
    local attemptUsage = sub(result, 3)
    result = resultOf(id, attemptUsage ~= '' and attemptUsage)
  else
    local feedback = decision.feedback and ARGV[at + decision.feedback]
    local checkpoint = decision.checkpoint and ARGV[at + decision.checkpoint]
    if feedback then write(HSET, FEEDBACK, id, feedback) end
    if checkpoint then write(HSET, CHECKPOINTS, id, checkpoint) end
    if effect.hasEarlier then
      if not usage then write(HDEL, USAGE, id) end
      if not feedback then write(HDEL, FEEDBACK, id) end
      if not checkpoint then write(HDEL, CHECKPOINTS, id) end
    end
  end
  return result, decision.failure and ARGV[at + decision.failure]
end

local completed = {}
local function settleGroup(group)
  local decision, token, size, shared = group.decision, group.token, group.decision.size, group.shared
  local isCompleted, isPending = decision.status == 'completed', decision.status == 'pending'
  local hasRest = size > 2 or decision.isReleased
  -- A call of 'write' for each task would take as long as the rest of the loop.
  local taskLines, ended, members = listOf(HSET, TASKS), listOf(HDEL, RUNNING), listOf(ZADD, INDEX[decision.status])
  local count, memberCount, completedCount = ended.size, members.size, #completed
  local at = group.start + 1
  local behindLine = isCompleted and shortened(shared, group.last - group.first + 1)
  local lastState, lastLength, lastAttempt, effect, after, afterBehindLine, mostBehindLine
  for index = group.first, group.last do
    local id, line, attempt = ids[index], lines[index], running[index]
    local isLost = true
    if line and attempt then
      -- Comparing in place makes no text of the state of each task.
      if not isCompleted or attempt ~= lastAttempt or #line ~= lastLength or not find(line, lastState, WORD + 1, true) then
        lastState, lastLength, lastAttempt = sub(line, WORD + 1), #line, attempt
        effect = effectOf(lastState, attempt, decision, isCompleted or (byte(ARGV[at], 1) or 10) ~= 10)
        after, mostBehindLine = shared .. effect.after, effect.mostBehindLine - #shared
        afterBehindLine = isCompleted and behindLine .. effect.after
      end
      isLost = effect.token ~= token
    end
    if isLost then
      load({ id })
      lose(index, tasks[id], outcomeOf(tasks[id], token))
    else
      local result, failure = ARGV[at], nil
      if hasRest or effect.hasRest then result, failure = settleRest(id, at, decision, effect) end
      local seq = sub(line, 1, WORD)
      if #result <= mostBehindLine and not failure then
        line = seq .. effect.stateAndTaken .. result .. afterBehindLine
      else
        line = seq .. effect.state
        local row = effect.before .. result .. after
        write(HSET, ATTEMPTS, effect.row .. id, failure and row .. '\n' .. failure or row)
      end
      count, memberCount = count + 1, memberCount + 2
      ended[count], taskLines[2 * count - 1], taskLines[2 * count] = id, id, line
      members[memberCount - 1], members[memberCount] = '0', effect.prefix .. seq .. id
      effect.count = effect.count + 1
      if effect.key then freeKey(effect.prefix, effect.key) end
      if isPending then lineUp(parse(id, line)) end
      if isCompleted then
        completedCount = completedCount + 1
        completed[completedCount] = id
      end
    end
    at = at + size
  end
  taskLines.size, ended.size, members.size = 2 * count, count, memberCount
end
for _, group in ipairs(groups) do settleGroup(group) end
for _, effect in ipairs(allEffects) do
  if effect.count > 0 then
    countLease(effect.lease, -effect.count)
    changed[effect.queue] = true
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
