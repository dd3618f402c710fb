import { members } from "./indexes.ts"
import { leases, tasks, writes } from "./library.ts"
import { script } from "./prelude.ts"

/** Budgets, and what attempts have spent of them. Uses `writes`. */
export const budgets = String.raw`
-- A budget is a table of the six numbers of its field: limits of cost and tokens, or '-'; committed cost and tokens; held
-- cost and tokens. Costs are in nano-dollars.
local LimitCost, LimitTokens, Cost, Tokens, HeldCost, HeldTokens = 1, 2, 3, 4, 5, 6

local function numbers(line)
  local found = {}
  for word in string.gmatch(line, '[^ ]+') do found[#found + 1] = tonumber(word) or word end
  return found
end

local function printed(list)
  local words = {}
  for index, value in ipairs(list) do words[index] = tonumber(value) and text(value) or value end
  return concat(words, ' ')
end

-- The budgets that this script has looked at; false for a queue without one.
local budgetsByQueue, changedBudgets = {}, {}

local function budgetOf(name)
  local budget = budgetsByQueue[name]
  if budget == nil then
    local line = redis.call('HGET', BUDGETS, name)
    budget = line and numbers(line) or false
    budgetsByQueue[name] = budget
  end
  return budget
end

-- What the attempt under this token has committed and holds: cost and tokens of each.
local function spendingOf(id, token)
  local line = redis.call('HGET', SPENDING, id)
  local of, rest = match(line or '', '^([^ ]+) (.*)$')
  if of ~= token then return { 0, 0, 0, 0 }, false end
  return numbers(rest), true
end

-- Ends an attempt: commits what it has used in all, or, without that, all that it holds.
local function endSpending(id, token, name, cost, tokens)
  local budget = budgetOf(name)
  if not budget then return end
  local own, isKnown = spendingOf(id, token)
  local addedCost = cost and math.max(0, cost - own[1]) or own[3]
  local addedTokens = tokens and math.max(0, tokens - own[2]) or own[4]
  budget[Cost], budget[Tokens] = budget[Cost] + addedCost, budget[Tokens] + addedTokens
  budget[HeldCost], budget[HeldTokens] = budget[HeldCost] - own[3], budget[HeldTokens] - own[4]
  if isKnown then write(HDEL, SPENDING, id) end
  changedBudgets[name] = budget
end

-- Called before 'commit'.
local function saveBudgets()
  for name, budget in pairs(changedBudgets) do write(HSET, BUDGETS, name, printed(budget)) end
end

-- Behind the name of its queue, the numbers of a budget; nothing for no limit.
local function budgetRow(name, budget)
  local row = { name }
  for index, value in ipairs(budget) do row[index + 1] = value ~= '-' and text(value) or false end
  return row
end
`

/**
 * Arguments: for each row: id and token of the lease, then cost and tokens of what the attempt has committed, holds and
 * wants. Returns the lost leases, the indexes of the rows that were refused, and the budgets.
 */
export const reserve = script(
  [members, tasks, writes, leases, budgets],
  String.raw`
local ids = {}
for at = FIRST, #ARGV, 8 do ids[#ids + 1] = ARGV[at] end
load(ids)
local refused, isBlocked = {}, {}
for index, id in ipairs(ids) do
  local at = FIRST + (index - 1) * 8
  local task, token = tasks[id], ARGV[at + 1]
  if not isLeased(task, token) then
    lose(index, task)
  else
    local name = task[Queue]
    local budget = budgetOf(name)
    if budget then
      local own = spendingOf(id, token)
      local cost = math.max(own[1], tonumber(ARGV[at + 2]))
      local tokens = math.max(own[2], tonumber(ARGV[at + 3]))
      local heldCost, heldTokens = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
      local wantedCost, wantedTokens = tonumber(ARGV[at + 6]), tonumber(ARGV[at + 7])
      budget[Cost], budget[Tokens] = budget[Cost] + cost - own[1], budget[Tokens] + tokens - own[2]
      budget[HeldCost] = budget[HeldCost] + heldCost - own[3]
      budget[HeldTokens] = budget[HeldTokens] + heldTokens - own[4]
      if wantedCost > 0 or wantedTokens > 0 then
        local fits = not isBlocked[name]
          and (budget[LimitCost] == '-' or budget[Cost] + budget[HeldCost] + wantedCost <= budget[LimitCost])
          and (budget[LimitTokens] == '-' or budget[Tokens] + budget[HeldTokens] + wantedTokens <= budget[LimitTokens])
        if fits then
          budget[HeldCost], budget[HeldTokens] = budget[HeldCost] + wantedCost, budget[HeldTokens] + wantedTokens
          heldCost, heldTokens = heldCost + wantedCost, heldTokens + wantedTokens
        else
          isBlocked[name] = true
          refused[#refused + 1] = index - 1
        end
      end
      write(HSET, SPENDING, id, token .. ' ' .. printed({ cost, tokens, heldCost, heldTokens }))
      changedBudgets[name] = budget
    end
  end
end
local rows = {}
for name, budget in pairs(changedBudgets) do rows[#rows + 1] = budgetRow(name, budget) end
saveBudgets()
commit()
return { lost, refused, rows }
`
)

/** Returns all budgets. */
export const listBudgets = script(
  [members, writes, budgets],
  String.raw`
local rows = {}
for _, name in ipairs(redis.call('HKEYS', BUDGETS)) do rows[#rows + 1] = budgetRow(name, budgetOf(name)) end
return rows
`
)

/**
 * Arguments: the queue; the limit of the cost, the limit of tokens, the committed cost and tokens, each can be empty to
 * keep its value, and a limit can be '-'. Returns the budget.
 */
export const setBudget = script(
  [members, writes, budgets],
  String.raw`
local name = ARGV[FIRST]
local budget = budgetOf(name) or { '-', '-', 0, 0, 0, 0 }
for index = LimitCost, Tokens do
  local value = ARGV[FIRST + index]
  if value ~= '' then budget[index] = tonumber(value) or value end
end
changedBudgets[name] = budget
saveBudgets()
revised = true
commit()
return budgetRow(name, budget)
`
)
