-- Limits on generations and US dollars per batch and per day (UTC, by Redis' clock). A generation beyond them is
-- settled as failed before it is sent. It does not wait for the next day, because its cost then would be unexpected.
-- Amounts are in millionths of a US dollar.

local DAYS_KEPT = 3 * 24 * 3600

local function refusal(title, detail, kind)
  return cjson.encode({ error = { type = kind or 'BudgetExceeded', title = title, detail = detail } })
end

-- Return the error for a member that states another size than its batch has, or nil.
local function size_refusal(batch, size)
  local known = redis.call('HGET', batch_key(batch), 'size')
  if not known or known == size then return nil end
  return refusal(string.format('Batch %s has %s generations; this call states %s', batch, known, size),
    'Nothing was sent. Use another batch_id.', 'InputError')
end

local function usd_text(micros)
  return (string.gsub(string.format('%.6f', micros / 1000000), '(%.%d%d%d-)0*$', '%1')) .. ' USD'
end

-- The budgets of the profile, then those of the model and of the fair key.
local function budgets(profile, path, limits, fair_key)
  local found = {
    { most = limits.own, counts = 'total', costs = 'usd', whose = 'profile ' .. profile },
    { most = limits.models[path] or {}, counts = path, costs = 'usd:' .. path, whose = path .. ' in profile ' .. profile },
  }
  if fair_key then
    found[3] = { most = { usd_day = limits.own.key_usd_day }, costs = 'usd\t' .. fair_key,
      whose = fair_key .. ' in profile ' .. profile, day_name = 'max_usd_per_day_per_fair_key' }
  end
  return found
end

local function day_name(budget) return budget.day_name or 'max_usd_per_day' end

-- Return the error for a member of a batch that is too large, or nil. The whole batch is refused.
-- `added`: 1 if the member is new, 0 if it is retried
local function batch_refusal(batch, size, profile, path, limits, added)
  local most_members = math.max(size, redis.call('HINCRBY', batch_key(batch), 'members', added))
  for _, budget in ipairs(budgets(profile, path, limits)) do
    local most = budget.most.batch
    if most and most_members > most then
      local title = 'A batch of %d is larger than max_per_batch of %s: %d'
      return refusal(string.format(title, most_members, budget.whose, most),
        'Nothing was sent. Make smaller batches, or raise max_per_batch.')
    end
  end
end

local function count_refusal(budget, key)
  local most = budget.most.day
  if not most or tonumber(redis.call('HGET', key, budget.counts) or 0) < most then return nil end
  return refusal(string.format("Today's budget is spent: max_per_day of %s is %d", budget.whose, most),
    'Nothing was sent. Start it again under a new id after 00:00 UTC, or raise max_per_day.')
end

-- Return the error of a generation whose price is unknown while a limit in US dollars applies, or nil.
-- `line`: the line of the configuration that would set the price
local function price_refusal(profile, path, limits, fair_key, batch, line)
  for _, budget in ipairs(budgets(profile, path, limits, fair_key)) do
    local name = budget.most.usd_day and day_name(budget) or batch and budget.most.usd_batch and 'max_usd_per_batch'
    if name then
      return refusal(string.format('Its price is unknown, and %s of %s is set', name, budget.whose),
        'Nothing was sent. Set the price: ' .. line)
    end
  end
end

-- Return the error of a generation that costs more than what a limit in US dollars leaves, or nil.
local function cost_refusal(budget, name, most, key, usd)
  local left = most and most - tonumber(redis.call('HGET', key, budget.costs) or 0)
  if not left or usd <= left then return nil end
  local title = 'It costs %s (estimate), and of %s of %s, which is %s, %s is left'
  local again = name ~= 'max_usd_per_batch' and 'after 00:00 UTC' or 'in another batch'
  return refusal(string.format(title, usd_text(usd), name, budget.whose, usd_text(most), usd_text(math.max(left, 0))),
    string.format('Nothing was sent. Start it again under a new id %s, or raise %s.', again, name))
end

-- Return the error of a submission that exceeds a budget of today or of its batch, or nil.
local function exceeded(profile, path, limits, fair_key, batch, usd)
  local day = day_key(profile, math.floor(now / 86400))
  for _, budget in ipairs(budgets(profile, path, limits, fair_key)) do
    local refused = count_refusal(budget, day)
      or usd and cost_refusal(budget, day_name(budget), budget.most.usd_day, day, usd)
      or usd and batch and cost_refusal(budget, 'max_usd_per_batch', budget.most.usd_batch, batch_key(batch), usd)
    if refused then return refused end
  end
end

-- Reserve the share of a generation in the budgets, once. Return the error if not enough is left, or nil.
-- `cost`: its estimated cost, or, if that is unknown, the line that would set the price
local function budget_refusal(id, profile, path, limits, cost)
  local today = math.floor(now / 86400)
  local record = record_of(id)
  local usd = tonumber(record.usd or cost)
  local unpriced = not usd and price_refusal(profile, path, limits, record.fair_key, record.batch, cost)
  if unpriced then return unpriced end
  if record.day == tostring(today) and (record.usd or not usd) then return nil end
  refund_budgets(id) -- it was counted on an earlier day, or without its cost
  local refused = exceeded(profile, path, limits, record.fair_key, record.batch, usd)
  if refused then return refused end
  if usd then
    write(id, 'usd', usd)
    metric(0, 'spend', path, 'succeeded') -- Prometheus counts no increase from absent to the first amount
  end
  local key = day_key(profile, today)
  if redis.call('HSETNX', key, 'total', 0) == 1 then redis.call('EXPIRE', key, DAYS_KEPT) end
  count_on_budgets(id, today, 1)
  write(id, 'day', today)
end
