-- A submission whose input took long to read asks for its whole lease again: nothing has left yet.
-- ARGV[3] task id   [4] the run's token   [5] submit lease, seconds
-- Answers 1, or 0: the lease had ended and somebody settled it.

local id, from = ARGV[3], now + tonumber(ARGV[5])
local held = read(id, 'state', 'run', 'grant', 'profile', 'path')
if held[1] ~= 'submitting' or held[2] ~= ARGV[4] then return 0 end
due(id, from)
if held[3] then free_places_after(held[3], held[4], held[5], from) end
return 1
