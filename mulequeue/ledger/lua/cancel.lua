-- ARGV[3] task id   [4] seconds a tombstone is kept
-- Answers { the state it was in, signature to publish or false, poll_by }
local id = ARGV[3]
local state = redis.call('HGET', record_key(id), 'state')
if not state then
  write(id, 'state', 'tombstone', 'created', time_text(now))
  redis.call('EXPIRE', record_key(id), ARGV[4])
  return { 'unknown', false }
end
if state == 'waiting' or state == 'generating' then
  return { state, settle(id, 'cancelled'), poll_by_after_wake() }
end
-- A create request is in progress: its id is recorded first, then the record is settled.
if state == 'submitting' then write(id, 'cancel', 1) end
return { state, false }
