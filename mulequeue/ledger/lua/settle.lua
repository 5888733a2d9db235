-- What a generation came to, written once.
-- ARGV[3] task id   [4] status   [5] JSON of what the API answered, or ''
-- ARGV[6] who may: 'claim' (a status check), 'run' (the submitter), 'any' (a verified webhook)
-- ARGV[7] the token of a claim or run   [8] checks to add
-- ARGV[9] seconds it took by the API's own times, or ''
-- P .. 'lives:<path>'  list  the latest lives, newest first: seconds no less, no more,
--                       how many such, when (unix seconds), the mean then
-- Answers { signature to publish, look } or { } when somebody else settled it or the claim lapsed.

local id, who, token = ARGV[3], ARGV[6], ARGV[7]
local MAX_DURATIONS = 100
local APART = 1 / 25 -- of a mean duration: the list covers four of them or more
local NO_NEWS = 0.2  -- seconds; told to have ended just now: an API that writes down when it was asked

-- How long one lived: as the API tells it, where that fits what was seen; else a webhook comes at
-- once, and a check some time after the end.
local function duration(started, seen, interval)
  local low, high, told = tonumber(seen or 0), now - tonumber(started), tonumber(ARGV[9])
  if told and low - 2 <= told and told <= high - NO_NEWS then return told, told end
  if who == 'any' then return high, high end
  if not interval then return low, high end -- one that somebody chose may be too long to tell anything
end

-- What ends at nearly the same time is one entry with a weight: the latest lives of a large
-- batch would be its longest, and the first checks of the next one far too late. How near is told by
-- the mean life, not by this one or the last: either would favour the short or the long.
local function record_duration(path, low, high)
  if not low then return end
  local durations, mean = P .. 'lives:' .. path, high
  local head = redis.call('LINDEX', durations, 0) or ''
  local span, weight, at, former = string.match(head, '^(%S+ %S+) (%d+) ([%d.]+) ([%d.]+)')
  if span then
    if math.abs(now - at) < former * APART then
      return redis.call('LSET', durations, 0, string.format('%s %d %s %s', span, weight + 1, at, former))
    end
    mean = former + (high - former) / 20
  end
  redis.call('LPUSH', durations, string.format('%.2f %.2f 1 %.2f %.2f', low, high, now, mean))
  redis.call('LTRIM', durations, 0, MAX_DURATIONS - 1)
end

local fields = read(id, 'state', 'claim', 'run', 'cancel', 'profile', 'path', 'submitted', 'started', 'seen', 'interval')
local status = ARGV[4]
if who == 'claim' and not (fields[1] == 'generating' and fields[2] == token) then return {} end
if who == 'run' and not (fields[1] == 'submitting' and fields[3] == token) then return {} end
if who == 'any' and fields[1] ~= 'generating' then return {} end
if ARGV[8] ~= '0' then redis.call('HINCRBY', record_key(id), 'polls', ARGV[8]) end
if who == 'run' then
  if status ~= 'submit_unknown' then -- the API refused it: nothing is paid
    begin_ramp(fields[5])
    release_grant(id)
    refund_day_budget(id)
  end
  if fields[4] then status = 'cancelled' end
end
local was_seen = who == 'any' or ARGV[8] ~= '0'
local was_seen_to_begin = fields[6] and fields[8] and fields[7] ~= fields[8] -- else it was adopted
if status == 'succeeded' and was_seen and was_seen_to_begin then
  record_duration(fields[6], duration(fields[8], fields[9], fields[10]))
end
return { settle(id, status, ARGV[5]), poll_by() }
