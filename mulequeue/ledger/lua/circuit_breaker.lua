-- Pause the status checks of a profile after errors, or resume them.
-- ARGV[3] trip | recover   [4] profile   [5] seconds the API asked for, or ''   [6] first pause   [7] longest
-- ARGV[8] why   [9] seconds to the first probes, or '' for none before the pause ends
-- Answers the time the pause ends, or ''
local key = P .. 'pollgate:' .. ARGV[4]
if ARGV[3] == 'recover' then
  redis.call('DEL', key)
  return ''
end
local paused_until = pause(key, tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]))
redis.call('HSET', key, 'reason', ARGV[8])
if ARGV[9] == '' then
  redis.call('HDEL', key, 'early')
else
  redis.call('HSET', key, 'early', 1, 'used', 1000, 'probe', time_text(math.min(paused_until, now + ARGV[9])))
end
redis.call('HSET', P .. 'pauses', 'pollgate:' .. ARGV[4], time_text(paused_until))
return time_text(paused_until)
