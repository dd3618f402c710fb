import * as UsageSum from "@baton/core/UsageSum"

/**
 * The usage of the tasks of each queue. Uses `writes`; scripts with it call `usages.save` before `commit`. One table, because a
 * script has 200 local variables at most.
 */
export const usage = String.raw`
-- 'changes' says by how much this script changes the sum of each queue.
local usages = { changes = {} }
do
  local COLUMNS = ${UsageSum.columns.length}

  -- The columns of the sum of one usage: see 'UsageSum.of'.
  local function sumOf(document)
    local used = cjson.decode(document)
    local tokens = used.inputTokens + used.outputTokens + used.cacheReadTokens + used.cacheWriteTokens
    local cost = used.costUsd ~= cjson.null and used.costUsd
    local bounds = not cost and used.bounds or {}
    local max = cost or bounds.maxUsd ~= cjson.null and bounds.maxUsd
    local function nano(usd)
      return math.floor((usd or 0) * 1e9 + 0.5)
    end
    return {
      1, used.inputTokens, used.outputTokens, used.cacheReadTokens, used.cacheWriteTokens, bounds.maxTokens or tokens,
      nano(cost or bounds.minUsd), nano(max), cost and 0 or 1, max and 0 or 1
    }
  end

  -- Adds the usage of a task, or takes it away.
  function usages.meter(name, document, sign)
    if not document or document == '' then return end
    -- A damaged document counts as nothing.
    local isRead, sum = pcall(sumOf, document)
    if not isRead then return end
    local change = usages.changes[name]
    if not change then
      change = {}
      for index = 1, COLUMNS do change[index] = 0 end
      usages.changes[name] = change
    end
    for index = 1, COLUMNS do change[index] = change[index] + sign * sum[index] end
  end

  -- Replaces the usage of a task. Both can be missing.
  function usages.replace(name, before, after)
    if before == after then return end
    usages.meter(name, before, -1)
    usages.meter(name, after, 1)
  end

  -- Called before 'commit'.
  function usages.save()
    for name, change in pairs(usages.changes) do
      local words, index = {}, 0
      for word in string.gmatch(redis.call('HGET', QUEUE_USAGE, name) or string.rep('0 ', COLUMNS), '[^ ]+') do
        index = index + 1
        words[index] = text(tonumber(word) + change[index])
      end
      if words[1] == '0' then
        write(HDEL, QUEUE_USAGE, name)
      else
        write(HSET, QUEUE_USAGE, name, concat(words, ' '))
      end
    end
  end
end
`
