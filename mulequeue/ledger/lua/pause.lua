-- Pause or resume the submissions of a profile by hand.
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
redis.call('HDEL', key, 'held', 'probe', 'prober') -- a probe that was requeued proves nothing
schedule_admission(ARGV[4], now)
return { '', paused_since and 1 or 0, poll_by() }
