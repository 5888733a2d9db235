-- Move a record whose create was not made (never sent, or refused as too many) back to waiting, and pause
-- the profile's submissions.
-- ARGV[3] task id   [4] the run's token   [5] seconds the API asked for, or ''
-- ARGV[6] first pause   [7] longest pause   [8] model's path if the model has own limits, or ''
-- Answers { waiting, poll_by }, { cancelled, signature, poll_by }, or { } if the record has changed.

local id = ARGV[3]
local fields = read(id, 'state', 'run', 'cancel', 'profile')
if fields[1] ~= 'submitting' or fields[2] ~= ARGV[4] then return {} end
local again = pause(gate_key(fields[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]))
release_grant(id)
if fields[3] then
  refund_day_budget(id)
  return { 'cancelled', settle(id, 'cancelled'), poll_by() }
end
set_state(id, 'waiting')
redis.call('HDEL', record_key(id), 'run', 'submitted')
enqueue(id, fields[4], ARGV[8])
due('gate:' .. fields[4], again)
return { 'waiting', time_text(again) }
