-- Mark a record as delivered: Celery has dispatched what follows. ARGV[3] task id   [4] epoch   [5] seconds the record is kept
local id = ARGV[3]

-- The counts of a batch expire only after its last member was delivered.
local function has_under_way(batch)
  local counts = redis.call('HMGET', P .. 'batch:' .. batch, 'waiting', 'submitting', 'generating')
  return tonumber(counts[1] or 0) + tonumber(counts[2] or 0) + tonumber(counts[3] or 0) > 0
end

local fields = read(id, 'state', 'epoch', 'remote_id', 'batch', 'late_remote_id')
if fields[2] ~= ARGV[4] or not (fields[1] == 'settled' or fields[1] == 'delivering') then return 0 end
set_state(id, 'delivered')
redis.call('HDEL', record_key(id), 'run', 'claim', 'claim_until', 'wakes', 'errors')
redis.call('ZREM', DUE, id)
redis.call('DEL', parked_key(id))
local keys = { record_key(id), outcome_key(id), P .. 'files:' .. id }
if fields[3] then keys[#keys + 1] = P .. 'remote:' .. fields[3] end
if fields[5] then keys[#keys + 1] = P .. 'remote:' .. fields[5] end
if fields[4] and not has_under_way(fields[4]) then keys[#keys + 1] = P .. 'batch:' .. fields[4] end
for _, key in ipairs(keys) do redis.call('EXPIRE', key, ARGV[5]) end
return 1
