-- Pause the submissions of a profile by hand, or end every pause of it.
-- `what`: hold | release
-- Answers { 1 if this call changed it, '', poll_by }

local profile = args.profile
local key = gate_key(profile)
if args.what == 'hold' then
  redis.call('HSETNX', P .. 'pauses', 'held:' .. profile, time_text(now))
  return { redis.call('HSETNX', key, 'held', time_text(now)) }
end
redis.call('HDEL', P .. 'pauses', 'held:' .. profile)
local was_paused = redis.call('HDEL', key, 'held', 'level') > 0
redis.call('HDEL', key, 'bounced', 'bounces')
local start = profile .. '\t'
local gates = { key }
for _, member in ipairs(redis.call('ZRANGE', SCOPES, 0, -1)) do
  if string.sub(member, 1, #start) == start then
    gates[#gates + 1] = gate_key(profile, string.sub(member, #start + 1))
    was_paused = redis.call('HDEL', gates[#gates], 'level') > 0 or was_paused
    redis.call('ZADD', SCOPES, time_text(now), member)
  end
end
for _, gate in ipairs(gates) do
  redis.call('HDEL', gate, 'until', 'probe', 'prober', 'ramp', 'used', 'reason', 'unknowns', 'refused')
end
if redis.call('HEXISTS', P .. 'pauses', 'gate:' .. profile) == 1 then
  redis.call('HSET', P .. 'pauses', 'gate:' .. profile, time_text(now))
end
schedule_admission(profile, now)
return { was_paused and 1 or 0, '', poll_by() }
