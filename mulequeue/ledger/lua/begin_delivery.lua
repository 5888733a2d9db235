-- Decide what a delivery of `generate` has to do, and write its intent.
-- ARGV[3] task id   [4] marker: '' in a message from the user   [5] token of this run
-- ARGV[6] epoch of a new record   [7] digest of model and input   [8] submit lease, seconds
-- ARGV[9] limits of its profile, as JSON   [10] signature to park   [11] batch id, or ''   [12] its size
-- ARGV[13] JSON of the error of a call that cannot be sent, or ''   [14] profile
-- ARGV[15…] the other fields of a new record, as name, value, …
-- Answers { verdict, … }:
--   submit, poll_by           the intent is written: send the create request and record its answer
--   deliver, record, …        this run has to return the outcome
--   parked, poll_by           the task waits in the ledger: Ignore
--   wake, signature, poll_by  the task was settled at once: publish the wake and Ignore
--   duplicate, state, same    the same id enqueued twice, or a redelivery by the broker: Ignore
--   stale | busy | abandoned  Ignore

local id, marker, token, epoch, digest = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local lease, limits, refusal = tonumber(ARGV[8]), cjson.decode(ARGV[9]), ARGV[13]
local batch = ARGV[11] ~= '' and ARGV[11] or nil
local fields = read(id, 'state', 'epoch', 'run', 'digest', 'deliveries', 'claim_until', 'profile')
local state, profile = fields[1], fields[7] or ARGV[14]
local own = {}
for i = 15, #ARGV, 2 do own[ARGV[i]] = ARGV[i + 1] end

local MAX_DEQUEUED = 50

local function settled(status, answer) return { 'wake', settle(id, status, answer), poll_by_after_wake() } end

local function submit()
  local spent = day_refusal(id, profile, own.path or '', limits)
  if spent then return settled('failed', spent) end
  set_state(id, 'submitting')
  -- The create uses this worker's account, also if another worker parked the task.
  write(id, 'run', token, 'submitted', time_text(now), unpack(ARGV, 15))
  due(id, now + lease)
  local grant = redis.call('HGET', record_key(id), 'grant')
  if grant then expire_in_windows_after(grant, profile, own.path, now + lease) end
  return { 'submit', poll_by() }
end

-- The next sweep wakes the others that may be sent before it.
local function wait()
  set_state(id, 'waiting')
  enqueue(id, profile, group_of(own.path or '', limits))
  local goes = false
  local known = { [own.key or ''] = true, [redis.call('HGET', record_key(id), 'key') or ''] = true }
  for _, name in ipairs(dequeue(profile, limits, MAX_DEQUEUED, known)) do
    if name == id then goes = true else due(name, now) admission_at = now end
  end
  if goes then return submit() end
  return { 'parked', poll_by() }
end

local function submit_or_wait(is_granted)
  redis.call('HDEL', record_key(id), 'wakes')
  if is_granted and not paused_until_of(profile) then return submit() end
  if is_granted or has_waiting(profile) then return wait() end
  local path = own.path or ''
  local closed, counts_as = profile_blocked_until(profile, limits.own)
  if closed or model_blocked_until(profile, path, limits.models[path]) then return wait() end
  reserve(id, profile, path, limits, counts_as)
  return submit()
end

local function deliver()
  if state == 'delivering' and fields[3] ~= token and now < tonumber(fields[6] or 0) then return { 'busy' } end
  if fields[3] ~= token or state ~= 'delivering' then
    local deliveries = redis.call('HINCRBY', record_key(id), 'deliveries', 1)
    if deliveries > 2 * MAX_DELIVERIES then
      set_state(id, 'delivered')
      write(id, 'abandoned', 1)
      redis.call('ZREM', DUE, id)
      return { 'abandoned' }
    end
    if deliveries >= MAX_DELIVERIES and not redis.call('HGET', record_key(id), 'poisoned') then
      write(id, 'poisoned', 1)
      set_state(id, state, 'failed')
    end
  end
  set_state(id, 'delivering')
  write(id, 'run', token, 'claim_until', time_text(now + DELIVER_LEASE))
  due(id, now + DELIVER_LEASE)
  return { 'deliver', redis.call('HGETALL', record_key(id)),
    redis.call('GET', outcome_key(id)) or '', redis.call('GET', P .. 'files:' .. id) or '' }
end

if marker ~= '' then
  if not state or fields[2] ~= marker then return { 'stale' } end
  if state == 'waiting' and refusal ~= '' then return settled('failed', refusal) end
  if state == 'waiting' then return submit_or_wait(redis.call('HEXISTS', record_key(id), 'slot') == 1) end
  if state == 'submitting' and fields[3] == token then return { 'submit', '' } end
  if state == 'settled' or state == 'delivering' then return deliver() end
  return { 'busy' }
end

if state and state ~= 'tombstone' then
  if fields[2] == epoch then -- the same run repeats its call: the first answer was lost
    if state == 'submitting' and fields[3] == token then return { 'submit', '' } end
    if state == 'waiting' then return { 'parked', redis.call('ZSCORE', DUE, 'gate:' .. profile) or time_text(now) } end
    if state == 'settled' then return { 'wake', redis.call('GET', parked_key(id)), poll_by_after_wake() } end
  end
  return { 'duplicate', state, fields[4] == digest and 1 or 0 }
end

local fields = { 'epoch', epoch, 'digest', digest, 'profile', profile, 'created', time_text(now) }
for i = 15, #ARGV do fields[#fields + 1] = ARGV[i] end
write(id, unpack(fields))
redis.call('PERSIST', record_key(id))
redis.call('SET', parked_key(id), ARGV[10])
local batch_key = batch and P .. 'batch:' .. batch
if batch then
  if redis.call('HSETNX', batch_key, 'created', time_text(now)) == 1 then
    redis.call('HSET', batch_key, 'size', ARGV[12])
  end
end
if state == 'tombstone' or (batch and redis.call('HEXISTS', batch_key, 'stopped') == 1) then
  return settled('cancelled')
end
if refusal == '' and batch then
  refusal = batch_refusal(batch, tonumber(ARGV[12]), profile, own.path or '', limits) or ''
end
if refusal == '' then refusal = day_refusal(id, profile, own.path or '', limits) or '' end
if refusal ~= '' then return settled('failed', refusal) end
return submit_or_wait(false)
