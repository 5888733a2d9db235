-- Pause the status checks of a profile after errors, or resume them.
-- ARGV[3] trip | recover   [4] profile   [5] seconds the API asked for, or ''   [6] first pause   [7] longest
-- Answers the time the pause ends, or ''
local key = P .. 'pollgate:' .. ARGV[4]
if ARGV[3] == 'recover' then
  redis.call('DEL', key)
  return ''
end
return time_text(pause(key, tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])))
