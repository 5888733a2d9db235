-- Does somebody look at the ledger in time? A sweep that runs, or the poll message on its way.
-- P .. 'poll'   hash  token, due: the message on its way   missed: watchdog messages without a sweep
-- P .. 'sweep'  hash  token, until: the sweep that runs

local POLL, SWEEP = P .. 'poll', P .. 'sweep'
local OVERDUE = 3         -- seconds before a message counts as lost
local sweep = redis.call('HMGET', SWEEP, 'token', 'until')
local is_running = sweep[1] and now < tonumber(sweep[2])
local poll = redis.call('HMGET', POLL, 'token', 'due', 'missed')

local function is_coming_by(at)
  if not poll[1] then return false end
  local coming = tonumber(poll[2])
  return coming <= at + 0.1 and coming > now - OVERDUE
end

-- What Python needs to have something looked at then; '': it is seen to.
local function poll_needed_by(at)
  if is_running or is_coming_by(at) then return '' end
  return time_text(at)
end
