-- Mark a record as delivered: Celery has published the tasks that follow.
local id = args.task_id
local record = record_of(id)

-- Let the keys of the record expire, unless another canvas has yet to receive the outcome. Those of its batch expire
-- only when no member is under way.
local function expire_delivered()
  if #open_continuations(id) > 0 then return end
  local keys = { record_key(id), outcome_key(id), files_key(id), continuations_key(id) }
  if record.status ~= 'succeeded' then keys[#keys + 1] = call_key(id) end
  if record.remote_id then keys[#keys + 1] = P .. 'remote:' .. record.remote_id end
  if record.late_remote_id then keys[#keys + 1] = P .. 'remote:' .. record.late_remote_id end
  local batch = record.batch and batch_key(record.batch)
  if batch and sum(hash_at(batch), UNDER_WAY) <= 0 then keys[#keys + 1] = batch end
  for _, key in ipairs(keys) do redis.call('EXPIRE', key, args.ttl) end
end

if record.epoch ~= args.epoch then -- another canvas
  if not end_continuation(id, args.epoch) then return 0 end
  if record.state == 'delivered' then expire_delivered() end
  return 1
end
if not (record.state == 'settled' or record.state == 'delivering') then return 0 end
set_state(id, 'delivered')
note_time(id, 'z')
drop(id, 'run', 'claim', 'claim_until', 'wakes', 'errors', 'problem', 'cancel_unsent')
redis.call('ZREM', DUE, id)
-- If no id was recorded, the message still holds the input: it is kept for a retry.
if not record.remote_id and redis.call('EXISTS', parked_key(id)) == 1 then
  redis.call('RENAME', parked_key(id), call_key(id))
else
  redis.call('DEL', parked_key(id))
end
expire_delivered()
return 1
