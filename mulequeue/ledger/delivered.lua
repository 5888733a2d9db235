-- Celery has dispatched what follows. ARGV[3] task id   [4] epoch   [5] seconds the record is kept
local id = ARGV[3]
local held = read(id, 'state', 'epoch', 'remote_id', 'batch')
if held[2] ~= ARGV[4] or not (held[1] == 'settled' or held[1] == 'delivering') then return 0 end
move(id, 'delivered')
redis.call('HDEL', record_key(id), 'run', 'claim', 'claim_until', 'wakes', 'errors')
redis.call('ZREM', DUE, id)
redis.call('DEL', parked_key(id))
local keys = { record_key(id), outcome_key(id), P .. 'files:' .. id }
if held[3] then keys[#keys + 1] = P .. 'remote:' .. held[3] end
if held[4] then keys[#keys + 1] = P .. 'batch:' .. held[4] end
for _, key in ipairs(keys) do redis.call('EXPIRE', key, ARGV[5]) end
return 1
