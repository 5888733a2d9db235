-- Pause the submissions of a profile by hand, or end every pause of it.
-- ARGV[3] hold | release   [4] profile
-- Answers { time it was paused, or ''; 1 if this call changed it; poll_by }

local key = gate_key(ARGV[4])
local paused_since = redis.call('HGET', key, 'held')
if ARGV[3] == 'hold' then
  redis.call('HSETNX', key, 'held', time_text(now))
  redis.call('HSETNX', P .. 'pauses', 'held:' .. ARGV[4], time_text(now))
  return { paused_since or time_text(now), paused_since and 0 or 1, '' }
end
redis.call('HDEL', P .. 'pauses', 'held:' .. ARGV[4])
local was_paused = redis.call('HDEL', key, 'held', 'level') > 0
redis.call('HDEL', key, 'bounced', 'bounces')
local start = ARGV[4] .. '\t'
local gates = { key }
for _, member in ipairs(redis.call('ZRANGE', SCOPES, 0, -1)) do
  if string.sub(member, 1, #start) == start then
    gates[#gates + 1] = gate_key(ARGV[4], string.sub(member, #start + 1))
    was_paused = redis.call('HDEL', gates[#gates], 'level') > 0 or was_paused
    redis.call('ZADD', SCOPES, time_text(now), member)
  end
end
for _, gate in ipairs(gates) do
  redis.call('HDEL', gate, 'until', 'probe', 'prober', 'ramp', 'used', 'reason', 'unknowns', 'refused')
end
if redis.call('HEXISTS', P .. 'pauses', 'gate:' .. ARGV[4]) == 1 then
  redis.call('HSET', P .. 'pauses', 'gate:' .. ARGV[4], time_text(now))
end
schedule_admission(ARGV[4], now)
return { '', was_paused and 1 or 0, poll_by() }
