-- Change the state of a record, and release what the old state held: slot, places, queue, budgets.
-- P .. 'day:<profile>:<day>'  hash  of that UTC day (days since 1970): submissions, total and by path; their
--                                   estimated cost, usd, usd:<path> and usd<tab><fair key>, in millionths of a
--                                   US dollar
-- P .. 'keys:<profile>'       hash  fair key -> its generations in flight
-- The record's `day` is the day that counts it, and `usd` its estimated cost; without `usd` it is unknown.

local function gate_key(profile, scope)
  return P .. 'gate:' .. profile .. (scope and scope ~= '' and ':' .. scope or '')
end

-- The gates that a submission passes: of its profile, its model, its key and its worker. Most parts of a
-- profile were never paused, so they have no gate.
local function gates_of(id, profile, path)
  local fields, keys = read(id, 'key', 'node'), {}
  if path ~= '' then keys[1] = gate_key(profile, path) end
  if fields[2] then
    keys[#keys + 1] = gate_key(profile, 'key ' .. (fields[1] or ''))
    keys[#keys + 1] = gate_key(profile, 'worker ' .. fields[2])
  end
  local has_more = #keys > 0 and redis.call('EXISTS', unpack(keys)) > 0
  if not has_more then keys = {} end
  table.insert(keys, 1, gate_key(profile))
  return keys, has_more
end

local function count(key, name, by)
  if redis.call('HINCRBY', key, name, by) == 0 then redis.call('HDEL', key, name) end
end

local function keys_key(profile) return P .. 'keys:' .. profile end

local function count_key(profile, fair_key, by)
  if redis.call('HINCRBY', keys_key(profile), fair_key, by) <= 0 then redis.call('HDEL', keys_key(profile), fair_key) end
  if by < 0 then restore(profile, turn_of(fair_key)) end
end

-- Slots of the whole profile, of the model's path, which `slot` of the record names, and of the fair key.
local function count_slot(profile, path, fair_key, by)
  local gate = P .. 'gate:' .. profile
  redis.call('HINCRBY', gate, 'slots', by)
  if path ~= '' and path ~= '1' then count(gate, 'slots:' .. path, by) end
  if fair_key then count_key(profile, fair_key, by) end
end

local function day_key(profile, day) return P .. 'day:' .. profile .. ':' .. day end

local function add_if_kept(key, amounts)
  if not next(amounts) or redis.call('EXISTS', key) == 0 then return end
  for name, amount in pairs(amounts) do redis.call('HINCRBY', key, name, amount) end
end

-- Count a submission on the budgets of its day and its batch; `by` -1 takes it off again.
local function count_on_budgets(id, day, by)
  local fields = read(id, 'profile', 'path', 'usd', 'batch', 'fair_key')
  local path, usd, amounts = fields[2] or '', fields[3], {}
  if usd then usd = by * usd + 0 end -- Redis takes no -0
  if usd then amounts = { usd = usd, ['usd:' .. path] = usd } end
  if fields[4] then add_if_kept(batch_key(fields[4]), amounts) end
  if usd and fields[5] then amounts['usd\t' .. fields[5]] = usd end
  amounts.total, amounts[path] = by, by
  add_if_kept(day_key(fields[1], day), amounts)
end

-- Its create was not paid.
local function refund_budgets(id)
  local day = read(id, 'day')[1]
  if not day then return end
  count_on_budgets(id, day, -1)
  drop(id, 'day')
end

-- The API has answered, so the create has arrived by now.
local function release_grant(id)
  local fields = read(id, 'grant', 'profile', 'path')
  if not fields[1] then return end
  drop(id, 'grant')
  local free = expire_in_windows_after(fields[1], fields[2], fields[3], now)
  if free then schedule_admission(fields[2], free) end
end

local function free_slot(id, profile, path, fair_key)
  drop(id, 'slot')
  count_slot(profile, path, fair_key, -1)
  schedule_admission(profile, now)
end

-- A probe that ended without an answer proves nothing: another one may be sent.
local function release_probe(id, profile, path)
  for _, key in ipairs(gates_of(id, profile, path)) do
    if redis.call('HGET', key, 'prober') == id then
      redis.call('HDEL', key, 'probe', 'prober')
      schedule_admission(profile, now)
    end
  end
end

-- It stops waiting: remove it from its queue, and release its reservation unless it submits now.
local function leave_wait_queue(id, fields, new_state)
  local profile, group, grant, path = fields[4], fields[6], fields[7], fields[8]
  if group then remove_from_queue(id, profile, group, turn_of(fields[10]), queue_of(fields[3], fields[9])) end
  if new_state == 'submitting' or new_state == 'generating' then return end
  if grant then
    drop(id, 'grant')
    remove_from_windows(grant, profile, path)
    schedule_admission(profile, now)
  end
  if new_state ~= 'waiting' then refund_budgets(id) end
end

-- Every change of a state goes through here, so that counts and slots agree with the records.
local function set_state(id, new_state, new_status)
  local old = read(id, 'state', 'status', 'batch', 'profile', 'slot', 'group', 'grant', 'path', 'refusals',
    'fair_key')
  local old_state, old_bucket = old[1], nil
  if old_state == 'tombstone' then old_state = nil end
  if old_state then old_bucket = bucket(old_state, old[2]) end
  tally(old[3], old_bucket, bucket(new_state, new_status or old[2]))
  if old_state ~= new_state then count_state(old[8], old_state, new_state) end
  write(id, 'state', new_state)
  if new_status then write(id, 'status', new_status) end
  if not old[4] then return end
  if old[5] and (new_state == 'waiting' or not is_under_way(new_state)) then
    free_slot(id, old[4], old[5], old[10])
  end
  if old_state == 'waiting' then leave_wait_queue(id, old, new_state) end
  if new_state ~= 'submitting' and (old_state == 'waiting' or old_state == 'submitting') then
    release_probe(id, old[4], old[8] or '')
    drop(id, 'node')
  end
end

-- Each further canvas with the task id has a separate message, parked beside the first one. Its entry
-- in the due index, and its lease, are those of a transfer, so a sweep wakes it until it was delivered.
-- P .. 'continuations:<task id>'     hash  digest of what follows the message -> its epoch, or '' once delivered
-- P .. 'transfer:<epoch>:<task id>'  hash  tail (the digest), parked, run, attempts, wakes, dispatched
local MAX_CONTINUATIONS = 100

local function continuations_key(id) return P .. 'continuations:' .. id end
local function continuation_name(id, epoch) return 'transfer:' .. epoch .. ':' .. id end

local function open_continuations(id)
  local open = {}
  for _, epoch in ipairs(redis.call('HVALS', continuations_key(id))) do
    if epoch ~= '' then open[#open + 1] = epoch end
  end
  return open
end

local function end_continuation(id, epoch)
  local name = continuation_name(id, epoch)
  local digest = redis.call('HGET', P .. name, 'tail')
  redis.call('ZREM', DUE, name)
  redis.call('DEL', P .. name)
  if digest then redis.call('HSET', continuations_key(id), digest, '') end
  return digest
end

-- Store the outcome, and return the signature to publish. The next sweep wakes the other canvases.
local function settle(id, status, outcome)
  local fields = read(id, 'path', 'started')
  metric(1, 'outcomes', fields[1] or '', status)
  if fields[2] and (status == 'succeeded' or status == 'failed') then
    observe_generation(fields[1] or '', now - tonumber(fields[2]))
  end
  set_state(id, 'settled', status)
  local cost = read(id, 'day', 'usd')
  if cost[1] and cost[2] then metric(cost[2], 'spend', fields[1] or '', status) end
  drop(id, 'claim')
  if status ~= 'failed' then redis.call('DEL', call_key(id)) end
  write(id, 'finished', time_text(now), 'wakes', 1)
  if outcome and outcome ~= '' then redis.call('SET', outcome_key(id), outcome) end
  due(id, now + WAKE_RETRY_SECONDS)
  for _, epoch in ipairs(open_continuations(id)) do
    due(continuation_name(id, epoch), now)
    admission_at = now
  end
  return redis.call('GET', parked_key(id))
end

-- The time by which a poll message is needed because a waiting submission may leave, or a batch is over, or ''.
local function poll_by()
  local at = batch_due or admission_at
  return at and time_text(math.max(at, now)) or ''
end

-- The same after a wake outside of a sweep: a message is also needed to repeat the wake if it is lost.
local function poll_by_after_wake()
  local retry_at = now + WAKE_RETRY_SECONDS
  return time_text(math.max(math.min(batch_due or admission_at or retry_at, retry_at), now))
end
