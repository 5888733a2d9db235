-- Decide what a delivery of `generate` has to do, and write its intent.
-- The arguments are those of an Intent (types.py). `marker` and `fault` may be ''; `refusal` (JSON) and `batch_id` nil.
-- `cost`: estimated, in millionths of a US dollar, or, if it is unknown, the line that sets the price
-- Items: the other fields of a new record, as name, value, …
-- Answers { an Action (types.py), signature to publish, poll_by, fields of the verdict as name, value, … }; with `deliver`
-- the fields of the record, its outcome and its files follow.

local id, marker, token, epoch, batch = args.task_id, args.marker, args.run, args.epoch, args.batch_id
local limits, refusal = cjson.decode(args.limits), args.refusal
local node, fault, cost = args.worker, args.fault, args.cost
local record = record_of(id)
local state, profile = record.state, record.profile or args.profile
local own = {}
for i = 1, #items, 2 do own[items[i]] = items[i + 1] end
local own_path = own.path or ''

local MAX_DEQUEUED = 50

-- The message of this task has arrived: if it was recorded before it was published, it need not be repeated.
local function drop_expected()
  local key = P .. 'transfer:' .. id
  local lease = fields_at(key, 'sent', 'task')
  if not lease.sent then return end
  note_progress(lease.sent, lease.task)
  redis.call('DEL', key)
  redis.call('ZREM', DUE, 'transfer:' .. id)
end

local function settled(status, answer) return { 'wake', settle(id, status, answer), poll_by_after_wake() } end

-- The gates of this worker and of its key. Only a worker passes them: a grant does not know which worker takes it.
local worker_gate = gate_key(profile, 'worker ' .. node)
local key_gate = gate_key(profile, 'key ' .. (own.key or ''))
local profile_gate, model_gate = gate_key(profile), gate_key(profile, own_path)
local has_gates = nil -- whether its worker, its key or its model has one

local function is_gated()
  if has_gates == nil then has_gates = redis.call('EXISTS', worker_gate, key_gate, model_gate) > 0 end
  return has_gates
end

local function submission()
  local expires = tonumber(record.expires)
  return { 'submit', '', poll_by(), 'seconds', expires and time_text(expires - now) or '' }
end

local function submit()
  local spent = record.retries and batch
    and (size_refusal(batch, args.size) or batch_refusal(batch, args.size, profile, own_path, limits, 0))
    or budget_refusal(id, profile, own_path, limits, cost)
  if spent then return settled('failed', spent) end
  set_state(id, 'submitting')
  -- The create uses this worker's account, also if another worker parked the task.
  write(id, 'run', token, 'submitted', time_text(now), 'node', node, unpack(items))
  for _, gate in ipairs(is_gated() and { worker_gate, key_gate } or {}) do
    local _, counts_as = closed_until(gate)
    pass_gate(gate, id, counts_as)
  end
  due(id, now + args.lease)
  if record.grant then expire_in_windows_after(record.grant, profile, own.path, now + args.lease) end
  return submission()
end

local function group() return group_of(profile, own_path, limits.models[own_path]) end

-- Return the letter for the reason of the wait (timeline.py).
local function wait_reason()
  local gate = read_gate(profile_gate)
  if gate.held then return 'H' end
  return (paused_until(profile_gate, gate) or (own_path ~= '' and paused_until(model_gate))) and 'P' or 'L'
end

-- Put the task into its queue, and submit it if its turn has come. The next sweep wakes others that were granted.
local function wait()
  set_state(id, 'waiting')
  enqueue(id, profile, group())
  local goes = false
  for _, name in ipairs(dequeue(profile, limits, MAX_DEQUEUED)) do
    if name == id then goes = true else due(name, now) admission_at = now end
  end
  if goes then return submit() end
  note_time(id, 'w', wait_reason())
  return { 'parked', '', poll_by() }
end

-- This worker cannot submit: leave the task to another one.
local function leave(opens)
  set_state(id, 'waiting')
  note_time(id, 'w', 'W')
  enqueue(id, profile, group())
  if fault ~= '' then list_scope(profile, 'worker ' .. node, now + RECHECK_SECONDS, fault) end
  admission_at = bounce(profile, opens)
  due('gate:' .. profile, admission_at)
  return { 'parked', '', poll_by() }
end

local function submit_or_wait(is_granted)
  drop(id, 'wakes')
  local expired = expiry(id)
  if expired then
    refund_budgets(id)
    return settled('failed', expired)
  end
  local opens = is_gated() and (closed_until(worker_gate) or closed_until(key_gate))
  if fault ~= '' or opens then return leave(opens) end
  local gate = read_gate(profile_gate)
  if gate.bounces then end_bounces(profile) end
  local is_paused = paused_until(profile_gate, gate) or (own_path ~= '' and is_gated() and paused_until(model_gate))
  if is_granted and not is_paused then return submit() end
  if is_granted or has_waiting(profile) then return wait() end
  local closed, counts_as = blocked_until(profile, nil, limits.own, gate)
  if closed then return wait() end
  local shut, model_counts_as
  if is_gated() or limits.models[own_path] then
    shut, model_counts_as = blocked_until(profile, own_path, limits.models[own_path])
  end
  if shut or is_key_full(profile, turn_of(own.fair_key), limits.own) then return wait() end
  reserve(id, profile, own_path, limits, counts_as, model_counts_as)
  return submit()
end

local function record_with(...)
  local fields = { ... }
  for name, value in pairs(record) do
    table.insert(fields, 1, value)
    table.insert(fields, 1, name)
  end
  local kept = redis.call('MGET', outcome_key(id), files_key(id))
  return { 'deliver', '', '', fields, kept[1] or '', kept[2] or '' }
end

local function deliver()
  local is_repeated = state == 'delivering' and record.run == token
  if state == 'delivering' and not is_repeated and now < tonumber(record.claim_until or 0) then return { 'busy' } end
  if not is_repeated then
    local deliveries = increase(id, 'deliveries')
    if deliveries == 1 then note_time(id, 'v') end
    local is_dispatched = record.dispatched -- only its result is missing in the result backend
    if deliveries > 2 * MAX_DELIVERIES and not is_dispatched then
      set_state(id, 'delivered')
      write(id, 'abandoned', 1)
      redis.call('ZREM', DUE, id)
      return { 'abandoned' }
    end
    if deliveries >= MAX_DELIVERIES and record.status == 'succeeded' and not (is_dispatched or record.poisoned) then
      write(id, 'poisoned', 1)
      set_state(id, state, 'failed')
    end
  end
  set_state(id, 'delivering')
  write(id, 'run', token, 'claim_until', time_text(now + DELIVER_LEASE))
  due(id, now + DELIVER_LEASE)
  return record_with()
end

-- Deliver the outcome to the message of another canvas, under a separate lease.
local function deliver_to_continuation()
  local name = continuation_name(id, marker)
  local lease = fields_at(P .. name, 'parked', 'run', 'attempts', 'dispatched')
  if not lease.parked then return { 'stale' } end
  if not state then
    end_continuation(id, marker)
    return { 'stale' }
  end
  local score = redis.call('ZSCORE', DUE, name)
  local is_leased = lease.run and lease.run ~= token and score and now < tonumber(score)
  if is_leased or is_under_way(state) then return { 'busy' } end
  local attempts = lease.run == token and tonumber(lease.attempts) or redis.call('HINCRBY', P .. name, 'attempts', 1)
  if attempts > 2 * MAX_DELIVERIES and not lease.dispatched then
    end_continuation(id, marker)
    return { 'abandoned' }
  end
  redis.call('HSET', P .. name, 'run', token)
  redis.call('HDEL', P .. name, 'wakes', 'lapsed')
  due(name, now + DELIVER_LEASE)
  local own_fields = { 'deliveries', tostring(attempts), 'dispatched', lease.dispatched or '' }
  if attempts < MAX_DELIVERIES or lease.dispatched or record.status ~= 'succeeded' then
    return record_with(unpack(own_fields))
  end
  return record_with('status', 'failed', 'poisoned', '1', unpack(own_fields))
end

-- Park the message of another canvas beside the first one. Return nil if no task follows the message, or if the tasks
-- that follow it are those of a known message.
local function attach()
  local first = record.tail
  if not first or not own.tail or own.tail == 'none' or own.tail == first then return nil end
  local key, name = continuations_key(id), continuation_name(id, epoch)
  local known = redis.call('HGET', key, own.tail)
  if known and known ~= epoch then return nil end
  if not known and redis.call('HLEN', key) >= MAX_CONTINUATIONS then return { 'full' } end
  redis.call('HSET', key, own.tail, epoch)
  redis.call('HSET', P .. name, 'tail', own.tail, 'parked', args.signature)
  if is_under_way(state) then return { 'attached' } end
  for _, kept in ipairs({ key, record_key(id), outcome_key(id), files_key(id) }) do redis.call('PERSIST', kept) end
  redis.call('HSET', P .. name, 'wakes', 1)
  due(name, now + WAKE_RETRY_SECONDS)
  return { 'wake', args.signature, poll_by_after_wake() }
end

if marker ~= '' then
  if not state or record.epoch ~= marker then return deliver_to_continuation() end
  if state == 'waiting' and refusal then return settled('failed', refusal) end
  if state == 'waiting' then return submit_or_wait(record.slot) end
  if state == 'submitting' and record.run == token then return submission() end
  if state == 'settled' or state == 'delivering' then return deliver() end
  return { 'busy' }
end

if state and state ~= 'tombstone' then
  if record.epoch == epoch then -- the same run repeats its call: the first answer was lost
    if state == 'submitting' and record.run == token then return submission() end
    if state == 'waiting' then return { 'parked', '', redis.call('ZSCORE', DUE, 'gate:' .. profile) or time_text(now) } end
    if state == 'settled' then return { 'wake', redis.call('GET', parked_key(id)), poll_by_after_wake() } end
  end
  drop_expected()
  local is_same = record.digest == args.digest
  return is_same and attach() or { 'duplicate', '', '', 'state', state, 'is_same_input', is_same and '1' or '0' }
end

local mismatch = batch and size_refusal(batch, args.size)
write(id, 'epoch', epoch, 'digest', args.digest, 'profile', profile, 'created', time_text(now), unpack(items))
if mismatch then -- the batch does not count this member
  batch = nil
  drop(id, 'batch')
end
if state then redis.call('PERSIST', record_key(id)) end
redis.call('SET', parked_key(id), args.signature)
drop_expected()
local known = batch and fields_at(batch_key(batch), 'size', 'stopped') or {}
if batch and not known.size then
  redis.call('HSET', batch_key(batch), 'size', args.size, 'created', time_text(now))
end
if state == 'tombstone' or known.stopped then return settled('cancelled') end
if mismatch then return settled('failed', mismatch) end
refusal = refusal or batch and batch_refusal(batch, args.size, profile, own_path, limits, 1)
  or budget_refusal(id, profile, own_path, limits, cost)
if refusal then return settled('failed', refusal) end
return submit_or_wait(false)
