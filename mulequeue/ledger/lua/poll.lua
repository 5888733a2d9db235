-- Schedule the poll message, and lease the sweep that it starts. One token marks the valid message.
-- `next_token`: of the message that the call publishes
-- Answers { token, due, countdown } of a message to publish, or { }

read_poll()
local what, token = args.what, args.token
local GATE_GAP = 0.1      -- least seconds to a sweep that waiting submissions need
local FARTHEST = 60       -- longest countdown: half of a visibility timeout of two minutes

local function publish(at)
  local when = math.max(now, math.min(at, now + FARTHEST))
  redis.call('HSET', POLL, 'token', args.next_token, 'due', time_text(when))
  return { args.next_token, time_text(when), time_text(when - now) }
end

local function first_due()
  local head = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
  return head[2] and tonumber(head[2])
end

-- A repeated call (the first answer was lost) gets the same answer.
if args.next_token and poll.token == args.next_token then
  return { poll.token, poll.due, time_text(tonumber(poll.due) - now) }
end
if what == 'schedule' then     -- `at`: when something that was just parked is due
  local at = tonumber(args.at)
  if is_running or is_coming_by(at) then return {} end
  -- a replacement of a lost message must not be later than that one was
  return publish(math.min(at, first_due() or at))
elseif what == 'begin' then
  if poll.token ~= token or is_running then return {} end
  redis.call('DEL', POLL)
  redis.call('HSET', SWEEP, 'token', token, 'until', time_text(now + args.lease))
  return { token }
elseif what == 'renew' then
  if sweep.token ~= token then return {} end
  redis.call('HSET', SWEEP, 'until', time_text(now + args.lease))
  return { token }
elseif what == 'end' then      -- `gap`: least seconds to the next sweep, unless waiting submissions of the items need it
  if sweep.token ~= token then return {} end
  redis.call('DEL', SWEEP)
  local at = first_due()
  if not at then return {} end
  at = math.max(at, now + args.gap)
  for _, profile in ipairs(items) do
    local opens = tonumber(redis.call('ZSCORE', DUE, 'gate:' .. profile) or math.huge)
    at = math.min(at, math.max(opens, now + GATE_GAP))
  end
  return publish(at)
else                           -- watch: is something overdue while no sweep runs?
  local at = first_due()
  if is_running or not at or at > now - OVERDUE then return {} end
  local missed = tonumber(poll.missed or 0)
  -- messages must not pile up in a fleet without a free slot: 3 s, then doubling to 30 s
  if poll.token and tonumber(poll.due) > now - math.min(30, OVERDUE * 2 ^ math.min(missed, 10)) then return {} end
  redis.call('HSET', POLL, 'missed', missed + 1)
  recovered('poll message')
  return publish(now)
end
