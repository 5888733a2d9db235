-- A create was not made (never sent, or refused as too many): back to waiting, submissions pause.
-- ARGV[3] task id   [4] the run's token   [5] seconds the API asked for, or ''
-- ARGV[6] first pause   [7] longest pause   [8] model's path when it has limits of its own, or ''
-- Answers { waiting, when to look } or { cancelled, signature, look } or { } when the record moved on.

local id = ARGV[3]
local held = read(id, 'state', 'run', 'cancel', 'profile')
if held[1] ~= 'submitting' or held[2] ~= ARGV[4] then return {} end
local again = pause(gate_key(held[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]))
answered(id)
if held[3] then
  give_back_day(id)
  return { 'cancelled', settle(id, 'cancelled'), room() }
end
move(id, 'waiting')
redis.call('HDEL', record_key(id), 'run', 'submitted')
enter_lane(id, held[4], ARGV[8])
due('gate:' .. held[4], again)
return { 'waiting', time_text(again) }
