-- Write the outcome of a generation, once.
-- `by`: 'claim' (a status check), 'run' (the submitter), 'any' (a verified webhook); `token` of the claim or run
-- `answer`: JSON of the API's, or nil; `polls`: checks to add, or nil; `duration` in seconds by the API's own times, or nil
-- `reason` of a create whose result is unknown; `is_answered`: the API rejected it, so it accepts requests
-- P .. 'lives:<path>'  list  the latest durations, newest first: least seconds, most seconds,
--                       number of generations, time (unix seconds), mean duration at that time
-- Answers { settled, signature to publish, poll_by }, or { } if it was settled before or the claim lapsed.

local id, who = args.task_id, args.by
local MAX_DURATIONS = 100
local APART = 1 / 25 -- of a mean duration between two entries: the list covers four mean durations or more
local NO_NEWS = 0.2  -- seconds; an API that reports an end this close to now reports the time of the request

-- Return the bounds of a duration: by the API's times if those fit the checks. Otherwise the end is the arrival of
-- the webhook, or lies between the last two checks.
local function duration(record)
  local low, high, told = tonumber(record.seen or 0), now - tonumber(record.started), tonumber(args.duration)
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

local record, status = record_of(id), args.status
if record.state ~= (who == 'run' and 'submitting' or 'generating') then return {} end
if who ~= 'any' and record[who] ~= args.token then return {} end
if args.polls then write(id, 'polls', (record.polls or 0) + args.polls) end
if who == 'run' then
  if status == 'submit_unknown' then
    note_unknown(id, args.reason)
  else -- the API rejected it, or it was not sent: nothing is paid
    if args.is_answered then note_answer(record, false) end
    release_grant(id)
    refund_budgets(id)
  end
  if record.cancel then status = 'cancelled' end
end
local was_seen = who == 'any' or args.polls
local was_seen_to_begin = record.path and record.started and record.submitted ~= record.started -- false: another program created it
if status == 'succeeded' and was_seen and was_seen_to_begin then record_duration(record.path, duration(record)) end
note_time(id, (who == 'any' and 'h') or (args.polls and 'k') or 'n')
return { 'settled', settle(id, status, args.answer), poll_by() }
