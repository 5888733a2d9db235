-- Helpers of a sweep that does not keep up: leased slots, a token each. What they claim is fenced as
-- any claim is, so that a helper too many or too late does no harm.
-- P .. 'helpers'   hash   slot -> token of a message, runs:<token> once it sweeps; until:<slot> -> when
--                         the slot is free again
-- ARGV[3] what   [4] token   [5…] by what
-- Answers { token } of the helper that may go on, or { }

local HELPERS = P .. 'helpers'
local JOIN_SECONDS = 0.9   -- a message that no process took at once: none was free, so none can help
local SWEEP_SECONDS = 5    -- a helper that has not ended by then is dead

local what, token = ARGV[3], ARGV[4]

local running = 'runs:' .. token -- so that a message that came twice sweeps once

local function occupy(slot, holder, seconds)
  redis.call('HSET', HELPERS, slot, holder, 'until:' .. slot, time_text(now + seconds))
  return { token }
end

local function is_free(slot)
  return now >= tonumber(redis.call('HGET', HELPERS, 'until:' .. slot) or 0)
end

if what == 'call' then     -- [5] token of the next poll message: only who ended a sweep has it   [6] most
  if redis.call('HGET', P .. 'poll', 'token') ~= ARGV[5] then return {} end
  for slot = 1, tonumber(ARGV[6]) do
    if is_free(slot) then return occupy(slot, token, JOIN_SECONDS) end
  end
  return {}
end
local slots = redis.call('HGETALL', HELPERS)
for i = 1, #slots, 2 do
  local slot = slots[i]
  if slots[i + 1] == (what == 'join' and token or running) then
    if what == 'leave' and ARGV[5] ~= '0' then return occupy(slot, token, JOIN_SECONDS) end -- [5] 1: there is more
    if what == 'join' and not is_free(slot) then return occupy(slot, running, SWEEP_SECONDS) end
    redis.call('HDEL', HELPERS, slot, 'until:' .. slot)
  end
end
return {}
