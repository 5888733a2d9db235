-- Record a verified webhook, and find the generation that it reports.
-- P .. 'event:<event id>'   string  seen; the API sends an event again under the same id
-- P .. 'early:<remote id>'  string  JSON of an end that was reported before the id was recorded
-- `remote_id`, if the event ends a generation; `report`: JSON of its end
-- Answers { repeated | other | early } or { known, task id }

local function counted(what, task_id)
  redis.call('HINCRBY', P .. 'webhooks', what, 1)
  return { what, task_id }
end

local is_new = redis.call('SET', P .. 'event:' .. args.event_id, 1, 'NX', 'EX', args.seen_seconds)
if not is_new then return counted('repeated') end
if not args.remote_id then return counted('other') end
local task_id = redis.call('GET', P .. 'remote:' .. args.remote_id)
if task_id then return counted('known', task_id) end
redis.call('SET', P .. 'early:' .. args.remote_id, args.report, 'EX', args.early_seconds)
return counted('early')
