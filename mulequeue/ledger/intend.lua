-- A delivery of `generate` asks what it is to do.
-- ARGV[3] task id   [4] marker: '' for a message that no wake published   [5] this run's own token
-- ARGV[6] epoch of a new record   [7] digest of model and input   [8] submit lease, seconds
-- ARGV[9] most in flight, or ''   [10] signature to park   [11] batch id, or ''   [12] its size
-- ARGV[13] JSON of a refusal that happened before anything was sent, or ''   [14] profile
-- ARGV[15…] the other fields of a new record, as name, value, …
-- Answers { verdict, … }:
--   submit                    the intent is written: POST, then say what came of it
--   deliver                   the outcome is there and this run has it; the record follows
--   parked                    the ledger has the task: Ignore; then the time to look at it again
--   wake, signature           the ledger has the task and it is settled: Ignore and publish
--   duplicate, state, same    the same id enqueued twice, or a broker redelivery: Ignore
--   stale | busy | abandoned  Ignore

local id, marker, token, epoch, digest = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local lease, limit, refusal = tonumber(ARGV[8]), tonumber(ARGV[9]), ARGV[13]
local batch = ARGV[11] ~= '' and ARGV[11] or nil
local held = read(id, 'state', 'epoch', 'run', 'digest', 'deliveries', 'claim_until', 'profile', 'submitted')
local state, profile = held[1], held[7] or ARGV[14]

local function submit_or_wait(may_go)
  local ask_again
  if may_go then ask_again = paused_until(profile) else ask_again = refused_until(profile, limit) end
  redis.call('HDEL', record_key(id), 'wakes')
  if ask_again then
    move(id, 'waiting')
    due(id, ask_again)
    return { 'parked', time_text(ask_again) }
  end
  move(id, 'submitting')
  take_slot(id, profile)
  -- The account that is asked and paid is this worker's, whoever parked the task.
  write(id, 'run', token, 'submitted', time_text(now), unpack(ARGV, 15))
  due(id, now + lease)
  return { 'submit', time_text(now) }
end

local function deliver()
  if state == 'delivering' and held[3] ~= token and now < tonumber(held[6] or 0) then return { 'busy' } end
  if held[3] ~= token or state ~= 'delivering' then
    local deliveries = redis.call('HINCRBY', record_key(id), 'deliveries', 1)
    if deliveries > 2 * MOST_DELIVERIES then
      move(id, 'delivered')
      write(id, 'abandoned', 1)
      redis.call('ZREM', DUE, id)
      return { 'abandoned' }
    end
    if deliveries >= MOST_DELIVERIES and not redis.call('HGET', record_key(id), 'poisoned') then
      write(id, 'poisoned', 1)
      move(id, state, 'failed')
    end
  end
  move(id, 'delivering')
  write(id, 'run', token, 'claim_until', time_text(now + DELIVER_LEASE))
  due(id, now + DELIVER_LEASE)
  return { 'deliver', redis.call('HGETALL', record_key(id)),
    redis.call('GET', outcome_key(id)) or '', redis.call('GET', P .. 'files:' .. id) or '' }
end

if marker ~= '' then
  if not state or held[2] ~= marker then return { 'stale' } end
  if state == 'waiting' and refusal ~= '' then return { 'wake', settle(id, 'failed', refusal) } end
  if state == 'waiting' then return submit_or_wait(redis.call('HEXISTS', record_key(id), 'slot') == 1) end
  if state == 'submitting' and held[3] == token then return { 'submit', held[8] } end
  if state == 'settled' or state == 'delivering' then return deliver() end
  return { 'busy' }
end

if state and state ~= 'tombstone' then
  if held[2] == epoch then -- the same run asks again: its first answer was lost on the way
    if state == 'submitting' and held[3] == token then return { 'submit', held[8] } end
    if state == 'waiting' then return { 'parked', redis.call('ZSCORE', DUE, id) or time_text(now) } end
    if state == 'settled' then return { 'wake', redis.call('GET', parked_key(id)) } end
  end
  return { 'duplicate', state, held[4] == digest and 1 or 0 }
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
  return { 'wake', settle(id, 'cancelled') }
end
if refusal ~= '' then return { 'wake', settle(id, 'failed', refusal) } end
return submit_or_wait(false)
