-- A create was not made (never sent, or refused as too many): back to waiting, submissions pause.
-- ARGV[3] task id   [4] the run's token   [5] seconds the API asked for, or ''
-- ARGV[6] first pause   [7] longest pause
-- Answers { the time to ask again } or { signature } of a cancelled one, or { } when the record moved on.

local id = ARGV[3]
local held = read(id, 'state', 'run', 'cancel', 'profile')
if held[1] ~= 'submitting' or held[2] ~= ARGV[4] then return {} end
local again = pause(P .. 'gate:' .. held[4], tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]))
if held[3] then return { 'cancelled', settle(id, 'cancelled') } end
move(id, 'waiting')
redis.call('HDEL', record_key(id), 'run', 'submitted')
due(id, again)
return { 'waiting', time_text(again) }
