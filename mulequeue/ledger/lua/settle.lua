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
local function duration(record)
  local low, high, told = tonumber(record.seen or 0), now - tonumber(record.started), tonumber(ARGV[9])
  if told and low - 2 <= told and told <= high - NO_NEWS then return told, told end
  if who == 'any' then return high, high end
  if not record.interval then return low, high end -- an interval that the caller chose may be too long for useful bounds
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

local record, status = record_of(id), ARGV[4]
if record.state ~= (who == 'run' and 'submitting' or 'generating') then return {} end
if who ~= 'any' and record[who] ~= token then return {} end
if ARGV[8] ~= '0' then write(id, 'polls', (record.polls or 0) + ARGV[8]) end
if who == 'run' then
  if status == 'submit_unknown' then
    note_unknown(id, ARGV[10])
  else -- the API rejected it, or it was not sent: nothing is paid
    if ARGV[11] == '1' then note_answer(record, false) end
    release_grant(id)
    refund_budgets(id)
  end
  if record.cancel then status = 'cancelled' end
end
local was_seen = who == 'any' or ARGV[8] ~= '0'
local was_seen_to_begin = record.path and record.started and record.submitted ~= record.started -- false: another program created it
if status == 'succeeded' and was_seen and was_seen_to_begin then record_duration(record.path, duration(record)) end
note_time(id, (who == 'any' and 'h') or (ARGV[8] ~= '0' and 'k') or 'n')
return { settle(id, status, ARGV[5]), poll_by() }
