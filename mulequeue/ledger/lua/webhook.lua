-- Record a verified webhook, and find the generation that it reports.
-- P .. 'event:<event id>'   string  seen; the API sends an event again under the same id
-- P .. 'early:<remote id>'  string  JSON of an end that was reported before the id was recorded
-- P .. 'webhooks'           hash    number of events: known, early, other, repeated
-- ARGV[3] event id   [4] remote id, or '' of an event that ends no generation
-- ARGV[5] JSON of the end   [6] seconds an event id is remembered   [7] seconds an early end is kept
-- Answers { repeated | other | early } or { known, task id }

local function counted(what, task_id)
  redis.call('HINCRBY', P .. 'webhooks', what, 1)
  return { what, task_id }
end

if not redis.call('SET', P .. 'event:' .. ARGV[3], 1, 'NX', 'EX', ARGV[6]) then return counted('repeated') end
if ARGV[4] == '' then return counted('other') end
local task_id = redis.call('GET', P .. 'remote:' .. ARGV[4])
if task_id then return counted('known', task_id) end
redis.call('SET', P .. 'early:' .. ARGV[4], ARGV[5], 'EX', ARGV[7])
return counted('early')
