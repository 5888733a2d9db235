-- Renew the lease of a delivery: Celery still publishes what follows. ARGV[3] task id   [4] epoch   [5] the run's token
local id = ARGV[3]
local fields = read(id, 'state', 'epoch', 'run')
if fields[2] ~= ARGV[4] then -- another canvas
  local name = continuation_name(id, ARGV[4])
  if redis.call('HGET', P .. name, 'run') ~= ARGV[5] then return 0 end
  due(name, now + DELIVER_LEASE)
  return 1
end
if fields[1] ~= 'delivering' or fields[3] ~= ARGV[5] then return 0 end
write(id, 'claim_until', time_text(now + DELIVER_LEASE))
due(id, now + DELIVER_LEASE)
return 1
