-- Change the state of a record, and release what the old state held: slot, places, queue, budgets.
-- P .. 'day:<profile>:<day>'  hash  of that UTC day (days since 1970): submissions, total and by path; their estimated
--                                   cost, usd, usd:<path> and usd<tab><fair key>, in millionths of a US dollar
-- The record's `day` is the day that counts it, and `usd` its estimated cost; without `usd` it is unknown.

local function gate_key(profile, scope)
  return P .. 'gate:' .. profile .. (scope and scope ~= '' and ':' .. scope or '')
end

-- The gates that a submission passes: of its profile, its model, its key and its worker. Most parts of a
-- profile were never paused, so they have no gate.
local function gates_of(record)
  local profile, keys = record.profile, {}
  if (record.path or '') ~= '' then keys[1] = gate_key(profile, record.path) end
  if record.node then
    keys[#keys + 1] = gate_key(profile, 'key ' .. (record.key or ''))
    keys[#keys + 1] = gate_key(profile, 'worker ' .. record.node)
  end
  local has_more = #keys > 0 and redis.call('EXISTS', unpack(keys)) > 0
  if not has_more then keys = {} end
  table.insert(keys, 1, gate_key(profile))
  return keys, has_more
end

local function keys_key(profile) return P .. 'keys:' .. profile end

-- Slots of the whole profile, of the model's path, which `slot` of the record names, and of the fair key.
local function count_slot(record, path, by)
  local gate, key = gate_key(record.profile), record.fair_key
  redis.call('HINCRBY', gate, 'slots', by)
  if path ~= '' and path ~= '1' then add(gate, 'slots:' .. path, by) end
  if key then add(keys_key(record.profile), key, by) end
  if key and by < 0 then restore(record.profile, turn_of(key)) end
end

local function day_key(profile, day) return P .. 'day:' .. profile .. ':' .. day end

local function add_if_kept(key, amounts)
  if not next(amounts) or redis.call('EXISTS', key) == 0 then return end
  for name, amount in pairs(amounts) do redis.call('HINCRBY', key, name, amount) end
end

-- Count a submission on the budgets of its day and its batch; `by` -1 takes it off again.
local function count_on_budgets(id, day, by)
  local record, amounts = record_of(id), {}
  local path, usd = record.path or '', record.usd
  if usd then usd = by * usd + 0 end -- Redis takes no -0
  if usd then amounts = { usd = usd, ['usd:' .. path] = usd } end
  if record.batch then add_if_kept(batch_key(record.batch), amounts) end
  if usd and record.fair_key then amounts['usd\t' .. record.fair_key] = usd end
  amounts.total, amounts[path] = by, by
  add_if_kept(day_key(record.profile, day), amounts)
end

-- Take a generation off the budgets: its create was not paid.
local function refund_budgets(id)
  local day = record_of(id).day
  if not day then return end
  count_on_budgets(id, day, -1)
  drop(id, 'day')
end

-- Let the places of a submission expire. The API has answered, so the create has arrived by now.
local function release_grant(id)
  local record = record_of(id)
  if not record.grant then return end
  local free = expire_in_windows_after(record.grant, record.profile, record.path, now)
  drop(id, 'grant')
  if free then schedule_admission(record.profile, free) end
end

local function free_slot(id)
  local record = record_of(id)
  count_slot(record, record.slot, -1)
  drop(id, 'slot')
  schedule_admission(record.profile, now)
end

-- End the probes of a task. A probe that ended without an answer proves nothing, so another one may be sent.
local function release_probe(id)
  local record = record_of(id)
  for _, key in ipairs(gates_of(record)) do
    if redis.call('HGET', key, 'prober') == id then
      redis.call('HDEL', key, 'probe', 'prober')
      schedule_admission(record.profile, now)
    end
  end
end

-- A task stops waiting: remove it from its queue, and release its reservation unless it submits now.
local function leave_wait_queue(id, new_state)
  local record = record_of(id)
  if record.group then remove_from_queue(id, record.profile, record.group, turn_of(record.fair_key), queue_of(record)) end
  if new_state == 'submitting' or new_state == 'generating' then return end
  if record.grant then
    remove_from_windows(record.grant, record.profile, record.path)
    drop(id, 'grant')
    schedule_admission(record.profile, now)
  end
  if new_state ~= 'waiting' then refund_budgets(id) end
end

-- Every change of a state goes through here, so that counts and slots agree with the records.
local function set_state(id, new_state, new_status)
  local record = record_of(id)
  local old_state = record.state ~= 'tombstone' and record.state or nil
  tally(record.batch, old_state and bucket(old_state, record.status), bucket(new_state, new_status or record.status))
  if old_state ~= new_state then count_state(record.path, old_state, new_state) end
  write(id, 'state', new_state)
  if new_status then write(id, 'status', new_status) end
  if not record.profile then return end
  if record.slot and (new_state == 'waiting' or not is_under_way(new_state)) then free_slot(id) end
  if old_state == 'waiting' then leave_wait_queue(id, new_state) end
  if new_state ~= 'submitting' and (old_state == 'waiting' or old_state == 'submitting') then
    release_probe(id)
    drop(id, 'node')
  end
end

-- Each further canvas of a task id has a separate message, which is parked beside the first one. Its entry in the
-- due index and its lease are those of a transfer, so sweeps wake it until the outcome is delivered.
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
  local record = record_of(id)
  local path = record.path or ''
  metric(1, 'outcomes', path, status)
  if record.started and (status == 'succeeded' or status == 'failed') then
    observe_generation(path, now - tonumber(record.started))
  end
  set_state(id, 'settled', status)
  if record.day and record.usd then metric(record.usd, 'spend', path, status) end
  drop(id, 'claim')
  if status ~= 'failed' then redis.call('DEL', call_key(id)) end
  write(id, 'finished', time_text(now), 'wakes', 1)
  if outcome then redis.call('SET', outcome_key(id), outcome) end
  due(id, now + WAKE_RETRY_SECONDS)
  for _, epoch in ipairs(open_continuations(id)) do
    due(continuation_name(id, epoch), now)
    admission_at = now
  end
  return redis.call('GET', parked_key(id))
end

-- Return the time by which a poll message is needed, or '': a waiting submission may be sent, or a batch is over.
local function poll_by()
  local at = batch_due or admission_at
  return at and time_text(math.max(at, now)) or ''
end

-- The same after a wake outside of a sweep: a message is also needed to repeat the wake if it is lost.
local function poll_by_after_wake()
  local retry_at = now + WAKE_RETRY_SECONDS
  return time_text(math.max(math.min(batch_due or admission_at or retry_at, retry_at), now))
end
