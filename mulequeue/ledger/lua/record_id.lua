-- Record the id that the API returned for a create. It is recorded in every state, because it is billed.
-- `parked`: signature without the input; `first_poll`, `max_wait` and `poll_by` (until a sweep is needed) in seconds
-- `claim_token`, if the API's answer is already terminal; `api_trace` or nil
-- Items: the other fields of a record that no longer exists
-- Answers { a RecordIdResult (types.py), signature to publish, its poll_by, poll_by, 1 if a webhook has reported its end }

local id, remote_id = args.task_id, args.remote_id
local record = record_of(id)
local state, status = record.state, record.status
local MAX_CALL = 64 * 1024 -- bytes: a larger message, with files in its input, is not kept for a retry
local remote_key = P .. 'remote:' .. remote_id

local function recorded(what, signature, signature_look)
  local told = redis.call('EXISTS', P .. 'early:' .. remote_id)
  return { what, signature or '', signature_look or '', poll_needed_by(now + args.poll_by), told }
end

local is_known = false
if not redis.call('SET', remote_key, id, 'NX') then
  is_known = redis.call('GET', remote_key) == id
  if not is_known then redis.call('SET', remote_key, id) end
end
if state == 'submitting' then note_answer(record, true) end

if not state or state == 'tombstone' then
  write(id, 'epoch', args.epoch, 'profile', args.profile, 'created', time_text(now), 'submitted', time_text(now), unpack(items))
  redis.call('PERSIST', record_key(id))
elseif record.remote_id == remote_id or (is_known and record.late_remote_id ~= remote_id and record['0']) then
  -- The first answer to this call was lost. A packed record (packed.py) has few separate fields.
  return recorded('known')
elseif record.epoch ~= args.epoch or record.remote_id or not (state == 'waiting' or state == 'submitting'
    or (state == 'settled' and (status == 'submit_unknown' or status == 'cancelled'))) then
  if record.late_remote_id and record.late_remote_id ~= remote_id then -- only after Redis lost the record once
    write(id, 'more_remote_ids', (record.more_remote_ids or '') .. record.late_remote_id .. ' ')
  end
  write(id, 'late_remote_id', remote_id)
  local ttl = redis.call('TTL', record_key(id))
  if ttl > 0 then redis.call('EXPIRE', remote_key, ttl) end
  return { 'attached', '', '', '', 0 }
end

release_grant(id)
write(id, 'remote_id', remote_id)
local size = redis.call('STRLEN', parked_key(id))
if size > 0 and size <= MAX_CALL then redis.call('RENAME', parked_key(id), call_key(id)) end
redis.call('SET', parked_key(id), args.parked)
if record.cancel or state == 'tombstone' or (state == 'settled' and status == 'cancelled') then
  return recorded('cancelled', settle(id, 'cancelled'), poll_by())
end
set_state(id, 'generating')
occupy_slot(id, record.path or '')
drop(id, 'run', 'status', 'finished', 'wakes', 'refusals', 'refused', 'cancel_unsent')
if status then redis.call('DEL', outcome_key(id)) end
write(id, 'started', time_text(now), 'deadline', time_text(now + args.max_wait))
if args.api_trace then write(id, 'api_trace', args.api_trace) end
if args.claim_token then write(id, 'claim', args.claim_token) end
due(id, now + (args.claim_token and 30 or args.first_poll))
return recorded('generating')
