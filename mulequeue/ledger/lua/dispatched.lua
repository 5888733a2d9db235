-- Record that a delivery published what follows its task, or that its result could not be stored.
-- ARGV[3] task id   [4] epoch   [5] digest of what follows, or ''   [6] seconds until it is delivered again, or ''

local id, epoch = ARGV[3], ARGV[4]
local fields = read(id, 'epoch', 'state')
local name = id
if fields[1] ~= epoch then -- another canvas
  name = continuation_name(id, epoch)
  if redis.call('HEXISTS', P .. name, 'run') == 0 then return 0 end
elseif fields[2] ~= 'delivering' then
  return 0
end
if ARGV[6] ~= '' then
  due(name, now + tonumber(ARGV[6]))
  return 1
end
if name == id then
  write(id, 'dispatched', ARGV[5], 'claim_until', time_text(now + RESULT_LEASE))
else
  redis.call('HSET', P .. name, 'dispatched', ARGV[5])
end
due(name, now + RESULT_LEASE)
return 1
