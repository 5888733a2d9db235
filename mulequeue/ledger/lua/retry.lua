-- Put a generation that did not succeed back to waiting. It keeps its task id, its batch and its message.
-- `epoch`, `status` and `remote_id`, as they were read; `message`: with its input, wakes the new epoch; `ttl`: seconds the
-- former remote id is kept
-- Answers { 1, '', poll_by }, or { 0 } if it has changed since it was read.
-- Record: retries, returned (failures of it that were returned to its canvas), more_remote_ids,
--   billed: a line for each former attempt that may be billed: day, submitted, usd or '-', status, remote id or '-'
--
-- It is the same record, and not a new task id, because the epoch then decides everything: messages, runs and
-- claims of the former epoch change nothing, wherever they come from and however late, and the id that a
-- former create request got after all is attached. The state and the epoch change in one step, so a second
-- retry, or one that is repeated after a crash, finds another epoch. One create request follows each step.

local id, profile = args.task_id, args.profile
local record = record_of(id)
local remote_id = record.remote_id
local was_returned = record.state == 'delivered'
local is_over = was_returned or (record.state == 'settled' and not record.deliveries)
local is_same = record.epoch == args.epoch and record.status == args.status and remote_id == args.remote_id
if not (is_over and is_same) or record.late_remote_id or record.status == 'succeeded' then return { 0 } end

if not remote_id and record.status == 'failed' then refund_budgets(id) end
if record.day and record.submitted then
  local line = { record.day, record.submitted, record.usd or '-', record.status, remote_id or '-' }
  write(id, 'billed', (record.billed or '') .. table.concat(line, ' ') .. '\n')
end
set_state(id, 'waiting')
drop(id, 'status', 'finished', 'run', 'claim', 'claim_until', 'wakes', 'errors', 'problem',
  'deliveries', 'dispatched', 'abandoned', 'remote_id', 'submitted', 'started', 'deadline', 'polls', 'seen',
  'refusals', 'refused', 'cancel', 'cancel_unsent', 'day', 'usd', 'expires', 'notify_error', 'each_error', 'api_trace', 'times')
note_time(id, 'r')
write(id, 'epoch', args.new_epoch, 'profile', profile)
increase(id, 'retries')
if was_returned then increase(id, 'returned') end
if remote_id then -- it was billed
  write(id, 'more_remote_ids', (record.more_remote_ids or '') .. remote_id .. ' ')
  redis.call('EXPIRE', P .. 'remote:' .. remote_id, args.ttl)
end
redis.call('SET', parked_key(id), args.message)
redis.call('DEL', call_key(id), outcome_key(id), P .. 'again:' .. id)
redis.call('PERSIST', record_key(id))
redis.call('PERSIST', continuations_key(id))
enqueue(id, profile, '') -- from where it moves to the queue of its model, if that has one
schedule_admission(profile, now)
if record.batch then reopen(record.batch) end
return { 1, '', poll_by() }
