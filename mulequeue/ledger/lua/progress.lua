-- Note which messages have begun, to distinguish a lost message from one in a queue with a backlog.
-- P .. 'transfers'  hash  <task>: latest sending time of those that have begun
--                         began:<task>: time the last one began

-- A message that was sent before this one and has not begun was overtaken, so it may be lost.
local function note_progress(sent, task)
  local latest = redis.call('HGET', P .. 'transfers', task)
  if latest and tonumber(latest) > tonumber(sent) then sent = latest end
  redis.call('HSET', P .. 'transfers', task, sent, 'began:' .. task, time_text(now))
end
