-- Cancel generations on this side; the API has no cancel.
-- `ttl`: seconds a tombstone is kept; `batch_id`, if a batch may not go on; `which`: a CancelScope (types.py)
-- Items: task ids
-- Answers { poll_by or '', state, signature or false, state, signature or false, … }; the states they were in

local batch = args.batch_id
local is_known = batch and redis.call('HEXISTS', batch_key(batch), 'size') == 1
local answer = { '' }

-- The message of the task finds the tombstone. The members of a known batch find that the batch is stopped.
local function leave_tombstone(id)
  if is_known then return end
  redis.call('HSET', record_key(id), 'state', 'tombstone', 'created', time_text(now))
  redis.call('EXPIRE', record_key(id), args.ttl)
  records[id] = nil -- it is read again if its id is given twice
end

local is_expired, is_waiting_only = args.which == 'expired', args.which == 'waiting'

local function cancel(id)
  local record = record_of(id)
  local state = record.state
  if not state then
    leave_tombstone(id)
    return 'unknown', false
  end
  local ends = state == 'waiting' and not (is_expired and record.retries) -- a retry does not expire
  if ends or (state == 'generating' and not is_waiting_only and not is_expired) then
    local signature = settle(id, is_expired and 'failed' or 'cancelled', is_expired and expired_error(id) or nil)
    answer[1] = poll_by_after_wake()
    return state, signature
  end
  -- A create request is in progress. With `cancel`, the record is settled after the id is recorded; with
  -- `cancel_unsent`, only if the request is refused and the generation would wait again.
  if state == 'submitting' and not is_expired then write(id, is_waiting_only and 'cancel_unsent' or 'cancel', 1) end
  return state, false
end

-- Return whether there is nothing to cancel: all members have outcomes, or, to cancel waiting ones only, were sent.
local function is_finished()
  if not is_known then return false end
  local found = hash_at(batch_key(batch))
  local sent = is_waiting_only and sum(found, { 'submitting', 'generating' }) or 0
  return sum(found, OVER) + sent >= tonumber(found.size)
end

if batch and not is_finished() then
  redis.call('HSET', batch_key(batch), 'stopped', 1)
  if not is_known then redis.call('EXPIRE', batch_key(batch), args.ttl) end
end
for _, id in ipairs(items) do
  local state, signature = cancel(id)
  answer[#answer + 1] = state
  answer[#answer + 1] = signature
end
if batch then
  wake_if_over(batch)
  if answer[1] == '' then answer[1] = poll_by() end
end
return answer
