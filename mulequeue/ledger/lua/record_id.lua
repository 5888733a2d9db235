-- Record the id that the API returned for a create. No state rejects it, because the id is paid.
-- ARGV[3] task id   [4] epoch   [5] remote id   [6] signature without the input
-- ARGV[7] seconds to the first status check   [8] seconds the generation may stay active
-- ARGV[9] claim token (the answer is already terminal), or ''   [10] profile
-- ARGV[11] seconds until a sweep is needed   [12…] the other fields of a record that no longer exists
-- Answers { what, signature to publish, its poll_by, poll_by, 1 if a webhook has reported its end }, what:
-- generating | known | cancelled | attached (an outcome was delivered: the id is kept for resume)

local id, epoch, remote_id, token = ARGV[3], ARGV[4], ARGV[5], ARGV[9]
local fields = read(id, 'state', 'epoch', 'status', 'cancel', 'profile', 'remote_id', 'late_remote_id')
local state, status = fields[1], fields[3]
local remote_key = P .. 'remote:' .. remote_id

local function recorded(what, signature, signature_look)
  local told = redis.call('EXISTS', P .. 'early:' .. remote_id)
  return { what, signature or '', signature_look or '', poll_needed_by(now + tonumber(ARGV[11])), told }
end

if redis.call('GET', remote_key) ~= id then redis.call('SET', remote_key, id) end
if state == 'submitting' then begin_ramp(ARGV[10]) end

if not state or state == 'tombstone' then
  local fields = { 'epoch', epoch, 'profile', ARGV[10], 'created', time_text(now), 'submitted', time_text(now) }
  for i = 12, #ARGV do fields[#fields + 1] = ARGV[i] end
  write(id, unpack(fields))
  redis.call('PERSIST', record_key(id))
elseif fields[6] == remote_id then
  return recorded('known') -- the first answer to this call was lost
elseif fields[2] ~= epoch or fields[6] or not (state == 'waiting' or state == 'submitting'
    or (state == 'settled' and (status == 'submit_unknown' or status == 'cancelled'))) then
  if fields[7] and fields[7] ~= remote_id then -- only after Redis lost the record once
    write(id, 'more_remote_ids', (redis.call('HGET', record_key(id), 'more_remote_ids') or '') .. fields[7] .. ' ')
  end
  write(id, 'late_remote_id', remote_id)
  local ttl = redis.call('TTL', record_key(id))
  if ttl > 0 then redis.call('EXPIRE', remote_key, ttl) end
  return { 'attached', '', '', '', 0 }
end

release_grant(id)
write(id, 'remote_id', remote_id)
redis.call('SET', parked_key(id), ARGV[6])
if fields[4] or state == 'tombstone' or (state == 'settled' and status == 'cancelled') then
  return recorded('cancelled', settle(id, 'cancelled'), poll_by())
end
set_state(id, 'generating')
local path = redis.call('HGET', record_key(id), 'path') or ''
occupy_slot(id, fields[5] or ARGV[10], path)
redis.call('HDEL', record_key(id), 'run', 'status', 'finished', 'wakes')
redis.call('DEL', outcome_key(id))
write(id, 'started', time_text(now), 'deadline', time_text(now + tonumber(ARGV[8])))
if token ~= '' then
  write(id, 'claim', token)
  due(id, now + 30)
else
  due(id, now + tonumber(ARGV[7]))
end
return recorded('generating')
