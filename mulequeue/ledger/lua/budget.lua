-- Limits on generations per batch and per day (UTC, by Redis' clock). A generation beyond them is settled
-- as failed before it is sent; it does not wait, because it would be paid unexpectedly after midnight.

local DAYS_KEPT = 3 * 24 * 3600

local function refusal(title, detail)
  return cjson.encode({ error = { type = 'BudgetExceeded', title = title, detail = detail } })
end

-- The budgets of the profile, then those of the model.
local function budgets(profile, path, limits)
  local model = limits.models[path] or {}
  return {
    { most_batch = limits.own.batch, most_day = limits.own.day, counts = 'total', whose = 'profile ' .. profile },
    { most_batch = model.batch, most_day = model.day, counts = path, whose = path .. ' in profile ' .. profile },
  }
end

-- Return the error for a member of a batch that is too large, or nil. The whole batch is refused.
local function batch_refusal(batch, size, profile, path, limits)
  local members = redis.call('HINCRBY', P .. 'batch:' .. batch, 'members', 1)
  for _, budget in ipairs(budgets(profile, path, limits)) do
    if budget.most_batch and math.max(size, members) > budget.most_batch then
      local title = 'A batch of %d is larger than max_per_batch of %s: %d'
      return refusal(string.format(title, math.max(size, members), budget.whose, budget.most_batch),
        'Nothing was sent. Make smaller batches, or raise max_per_batch.')
    end
  end
end

-- Count it on today's budget, once. Return the error if that is spent, or nil.
local function day_refusal(id, profile, path, limits)
  local today = math.floor(now / 86400)
  local counted = redis.call('HGET', record_key(id), 'day')
  if counted == tostring(today) then return nil end
  if counted then refund_day_budget(id) end -- it was counted on an earlier day
  local key = day_key(profile, today)
  for _, budget in ipairs(budgets(profile, path, limits)) do
    local spent = tonumber(redis.call('HGET', key, budget.counts) or 0)
    if budget.most_day and spent >= budget.most_day then
      local title = "Today's budget is spent: max_per_day of %s is %d"
      return refusal(string.format(title, budget.whose, budget.most_day),
        'Nothing was sent. Start it again under a new id after 00:00 UTC, or raise max_per_day.')
    end
  end
  if redis.call('HINCRBY', key, 'total', 1) == 1 then redis.call('EXPIRE', key, DAYS_KEPT) end
  redis.call('HINCRBY', key, path, 1)
  write(id, 'day', today)
end
