-- Find out whether a running sweep, or the published poll message, covers a due time.
-- P .. 'poll'   hash  token, due: of the published message   missed: watchdog messages without a sweep
-- P .. 'sweep'  hash  token, until: of the running sweep

local POLL, SWEEP = P .. 'poll', P .. 'sweep'
local OVERDUE = 3         -- seconds before a message counts as lost
local sweep, is_running, poll

local function read_poll()
  sweep, poll = hash_at(SWEEP), hash_at(POLL)
  is_running = sweep.token and now < tonumber(sweep['until'])
end

local function is_coming_by(at)
  if not poll.token then return false end
  local coming = tonumber(poll.due)
  return coming <= at + 0.1 and coming > now - OVERDUE
end

-- Return the time by which a poll message is needed for something due then, or ''.
local function poll_needed_by(at)
  read_poll()
  if is_running or is_coming_by(at) then return '' end
  return time_text(at)
end
