-- ARGV[3] task id   [4] seconds a tombstone is kept
-- Answers { what it was, signature to publish or false, look }
local id = ARGV[3]
local state = redis.call('HGET', record_key(id), 'state')
if not state then
  write(id, 'state', 'tombstone', 'created', time_text(now))
  redis.call('EXPIRE', record_key(id), ARGV[4])
  return { 'unknown', false }
end
if state == 'waiting' or state == 'generating' then return { state, settle(id, 'cancelled'), poll_by() } end
-- A POST is on its way: its id will still be recorded, then the record is settled.
if state == 'submitting' then write(id, 'cancel', 1) end
return { state, false }
