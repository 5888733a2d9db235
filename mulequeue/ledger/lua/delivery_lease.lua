-- Extend the lease of a delivery of the outcome, to the first canvas or to another one.
-- `what`: keep (Celery still publishes the tasks that follow) | dispatched (they are published; `tail` is their digest)
--   | again (the result could not be stored: deliver the outcome again in `seconds`)
-- Answers 1, or 0 if the delivery has ended, or another run has it.

local what, id, epoch = args.what, args.task_id, args.epoch
local SECONDS = { keep = DELIVER_LEASE, dispatched = RESULT_LEASE, again = args.seconds }
local record = record_of(id)
local is_first = record.epoch == epoch
local name = is_first and id or continuation_name(id, epoch)
local run = record.state == 'delivering' and record.run
if not is_first then run = redis.call('HGET', P .. name, 'run') end
if not run or (what == 'keep' and run ~= args.run) then return 0 end
if what == 'dispatched' and is_first then write(id, 'dispatched', args.tail) end
if what == 'dispatched' and not is_first then redis.call('HSET', P .. name, 'dispatched', args.tail) end
local ends = now + SECONDS[what]
if what ~= 'again' and is_first then write(id, 'claim_until', time_text(ends)) end
due(name, ends)
return 1
