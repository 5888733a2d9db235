-- Write the outcome of a generation, once.
-- ARGV[3] task id   [4] status   [5] JSON of the API's answer, or ''
-- ARGV[6] caller: 'claim' (a status check), 'run' (the submitter), 'any' (a verified webhook)
-- ARGV[7] the token of a claim or run   [8] checks to add
-- ARGV[9] seconds it took by the API's own times, or ''   [10] why the result of a create is unknown, or ''
-- P .. 'lives:<path>'  list  the latest durations, newest first: least seconds, most seconds,
--                       number of generations, time (unix seconds), mean duration at that time
-- Answers { signature to publish, poll_by }, or { } if it was settled before or the claim lapsed.

local id, who, token = ARGV[3], ARGV[6], ARGV[7]
local MAX_DURATIONS = 100
local APART = 1 / 25 -- of a mean duration: the list covers four of them or more
local NO_NEWS = 0.2  -- seconds; an end this close to now: an API that reports the time of the request

-- Return the bounds of a duration: by the API's times if those fit the checks; else a webhook arrives
-- at the end, and a check some time after it.
local function duration(started, seen, interval)
  local low, high, told = tonumber(seen or 0), now - tonumber(started), tonumber(ARGV[9])
  if told and low - 2 <= told and told <= high - NO_NEWS then return told, told end
  if who == 'any' then return high, high end
  if not interval then return low, high end -- an interval that the caller chose may be too long for useful bounds
end

-- Generations that end at nearly the same time share one entry with a weight. Else the latest entries
-- of a large batch would be its longest durations, and the first checks of the next batch too late.
-- The mean duration decides what is near: a single one would favour short or long durations.
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
if ARGV[8] ~= '0' then write(id, 'polls', (read(id, 'polls')[1] or 0) + ARGV[8]) end
if who == 'run' then
  if status == 'submit_unknown' then
    note_unknown(id, fields[5], fields[6] or '', ARGV[10])
  else -- the API rejected it, or it was not sent: nothing is paid
    if ARGV[11] == '1' then note_answer(id, fields[5], fields[6] or '', false) end
    release_grant(id)
    refund_budgets(id)
  end
  if fields[4] then status = 'cancelled' end
end
local was_seen = who == 'any' or ARGV[8] ~= '0'
local was_seen_to_begin = fields[6] and fields[8] and fields[7] ~= fields[8] -- false: another program created it
if status == 'succeeded' and was_seen and was_seen_to_begin then
  record_duration(fields[6], duration(fields[8], fields[9], fields[10]))
end
note_time(id, (who == 'any' and 'h') or (ARGV[8] ~= '0' and 'k') or 'n')
return { settle(id, status, ARGV[5]), poll_by() }
