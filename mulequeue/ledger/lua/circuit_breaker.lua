-- Pause the status checks of a profile after errors.
-- The arguments of `pause`; `probe_seconds` to the first probes: nil for none before the pause ends
-- Answers the time the pause ends.
local key = P .. 'pollgate:' .. args.profile
local paused_until = pause(key, args)
if args.probe_seconds then
  redis.call('HSET', key, 'early', 1, 'used', 1000, 'probe', time_text(math.min(paused_until, now + args.probe_seconds)))
else
  redis.call('HDEL', key, 'early')
end
redis.call('HSET', P .. 'pauses', 'pollgate:' .. args.profile, time_text(paused_until))
return time_text(paused_until)
