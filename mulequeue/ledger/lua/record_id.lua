-- Record the id that the API returned for a create. No state rejects it, because the id is paid.
-- ARGV[3] task id   [4] epoch   [5] remote id   [6] signature without the input
-- ARGV[7] seconds to the first status check   [8] seconds the generation may stay active
-- ARGV[9] claim token (the answer is already terminal), or ''   [10] profile
-- ARGV[11] seconds until a sweep is needed   [12] the API's traceparent, or ''
-- ARGV[13…] the other fields of a record that no longer exists
-- Answers { what, signature to publish, its poll_by, poll_by, 1 if a webhook has reported its end }, what:
-- generating | known | cancelled | attached (an outcome was delivered: the id is kept for resume)

local id, epoch, remote_id, token = ARGV[3], ARGV[4], ARGV[5], ARGV[9]
local record = record_of(id)
local state, status = record.state, record.status
local MAX_CALL = 64 * 1024 -- bytes: a larger message, with files in its input, is not kept for a retry
local remote_key = P .. 'remote:' .. remote_id

local function recorded(what, signature, signature_look)
  local told = redis.call('EXISTS', P .. 'early:' .. remote_id)
  return { what, signature or '', signature_look or '', poll_needed_by(now + tonumber(ARGV[11])), told }
end

local is_known = false
if not redis.call('SET', remote_key, id, 'NX') then
  is_known = redis.call('GET', remote_key) == id
  if not is_known then redis.call('SET', remote_key, id) end
end
if state == 'submitting' then note_answer(record, true) end

if not state or state == 'tombstone' then
  local fields = { 'epoch', epoch, 'profile', ARGV[10], 'created', time_text(now), 'submitted', time_text(now) }
  for i = 13, #ARGV do fields[#fields + 1] = ARGV[i] end
  write(id, unpack(fields))
  redis.call('PERSIST', record_key(id))
elseif record.remote_id == remote_id or (is_known and record.late_remote_id ~= remote_id and record['0']) then
  -- The first answer to this call was lost. A packed record (packed.py) has few separate fields.
  return recorded('known')
elseif record.epoch ~= epoch or record.remote_id or not (state == 'waiting' or state == 'submitting'
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
redis.call('SET', parked_key(id), ARGV[6])
if record.cancel or state == 'tombstone' or (state == 'settled' and status == 'cancelled') then
  return recorded('cancelled', settle(id, 'cancelled'), poll_by())
end
set_state(id, 'generating')
occupy_slot(id, record.path or '')
drop(id, 'run', 'status', 'finished', 'wakes', 'refusals', 'refused', 'cancel_unsent')
if status then redis.call('DEL', outcome_key(id)) end
write(id, 'started', time_text(now), 'deadline', time_text(now + tonumber(ARGV[8])))
if ARGV[12] ~= '' then write(id, 'api_trace', ARGV[12]) end
if token ~= '' then
  write(id, 'claim', token)
  due(id, now + 30)
else
  due(id, now + tonumber(ARGV[7]))
end
return recorded('generating')
