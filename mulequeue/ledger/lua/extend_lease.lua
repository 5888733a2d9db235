-- Restart the lease of a submission whose input took long to read: its create is not sent yet.
-- ARGV[3] task id   [4] the run's token   [5] submit lease, seconds
-- Answers 1, or 0 if the lease had ended and the record was settled.

local id, from = ARGV[3], now + tonumber(ARGV[5])
local fields = read(id, 'state', 'run', 'grant', 'profile', 'path')
if fields[1] ~= 'submitting' or fields[2] ~= ARGV[4] then return 0 end
due(id, from)
if fields[3] then expire_in_windows_after(fields[3], fields[4], fields[5], from) end
return 1
