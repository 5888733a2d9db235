-- Restart the lease of a submission whose input took long to read: its create is not sent yet.
-- ARGV[3] task id   [4] the run's token   [5] submit lease, seconds
-- Answers 1, or 0 if the lease had ended and the record was settled.

local id, from = ARGV[3], now + tonumber(ARGV[5])
local record = record_of(id)
if record.state ~= 'submitting' or record.run ~= ARGV[4] then return 0 end
due(id, from)
if record.grant then expire_in_windows_after(record.grant, record.profile, record.path, from) end
return 1
