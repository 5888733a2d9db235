-- Mark a record as delivered: Celery has dispatched what follows. ARGV[3] task id   [4] epoch   [5] seconds the record is kept
local id = ARGV[3]

-- The counts of a batch expire only after its last member was delivered.
local function has_under_way(batch)
  local counts = redis.call('HMGET', batch_key(batch), 'waiting', 'submitting', 'generating')
  return tonumber(counts[1] or 0) + tonumber(counts[2] or 0) + tonumber(counts[3] or 0) > 0
end

local fields = read(id, 'state', 'epoch', 'remote_id', 'batch', 'late_remote_id', 'status')

-- Keep what a further canvas has yet to receive.
local function expire_delivered()
  if #open_continuations(id) > 0 then return end
  local keys = { record_key(id), outcome_key(id), P .. 'files:' .. id, continuations_key(id) }
  if fields[6] ~= 'succeeded' then keys[#keys + 1] = call_key(id) end
  if fields[3] then keys[#keys + 1] = P .. 'remote:' .. fields[3] end
  if fields[5] then keys[#keys + 1] = P .. 'remote:' .. fields[5] end
  if fields[4] and not has_under_way(fields[4]) then keys[#keys + 1] = batch_key(fields[4]) end
  for _, key in ipairs(keys) do redis.call('EXPIRE', key, ARGV[5]) end
end

if fields[2] ~= ARGV[4] then -- another canvas
  if not end_continuation(id, ARGV[4]) then return 0 end
  if fields[1] == 'delivered' then expire_delivered() end
  return 1
end
if not (fields[1] == 'settled' or fields[1] == 'delivering') then return 0 end
set_state(id, 'delivered')
note_time(id, 'z')
drop(id, 'run', 'claim', 'claim_until', 'wakes', 'errors', 'problem', 'cancel_unsent')
redis.call('ZREM', DUE, id)
-- Its message still holds the input if no id was recorded: it is kept for a retry.
if not fields[3] and redis.call('EXISTS', parked_key(id)) == 1 then
  redis.call('RENAME', parked_key(id), call_key(id))
else
  redis.call('DEL', parked_key(id))
end
expire_delivered()
return 1
