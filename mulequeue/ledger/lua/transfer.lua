-- The lease of one download or notification: from before its message is published until its end.
-- P .. 'transfer:<task id>'  hash    parked (signature), run, lapsed (run), attempts, first, wakes, revoked;
--                                    until its first message arrives also task, sent
-- P .. 'transfers'           hash    <task>: latest sending time of those that have begun
--                                    began:<task>: time the last one began
-- P .. 'done:<task id>'      string  JSON of the result; a repeated message is ignored
-- ARGV[3] what   [4] task id   [5] the run's token   [6…] depend on what

local what, id, token = ARGV[3], ARGV[4], ARGV[5]
local name = 'transfer:' .. id
local key = P .. name
local fields = redis.call('HMGET', key, 'run', 'attempts', 'first', 'lapsed', 'sent', 'task', 'parked')

local function forget()
  redis.call('ZREM', DUE, name)
  redis.call('DEL', key)
end

-- Messages that were sent before this one and have not begun were overtaken.
local function note_progress(sent, task)
  local latest = redis.call('HGET', P .. 'transfers', task)
  if not latest or tonumber(latest) < tonumber(sent) then redis.call('HSET', P .. 'transfers', task, sent) end
  redis.call('HSET', P .. 'transfers', 'began:' .. task, time_text(now))
end

if what == 'expect' then       -- [6] signature   [7] seconds until it is overdue   [8] name of its task
  if fields[7] or redis.call('EXISTS', P .. 'done:' .. id) == 1 then return { 'known' } end
  redis.call('HSET', key, 'parked', ARGV[6], 'sent', time_text(now), 'task', ARGV[8])
  due(name, now + tonumber(ARGV[7]))
  return { 'expected' }
elseif what == 'forget' then
  forget()
  return { 'forgotten' }
elseif what == 'revoke' then   -- one last wake, so that a worker stores REVOKED
  if not fields[7] then return { 'unknown' } end
  redis.call('HSET', key, 'revoked', 1)
  if not fields[1] then due(name, now) end
  return { 'revoked' }
elseif what == 'begin' then    -- [6] signature   [7] lease, seconds
  if redis.call('EXISTS', P .. 'done:' .. id) == 1 then return { 'done' } end
  local score = redis.call('ZSCORE', DUE, name)
  if fields[1] and fields[1] ~= token and score and now < tonumber(score) then return { 'busy' } end
  if not fields[3] then
    redis.call('HSET', key, 'parked', ARGV[6], 'first', time_text(now))
    fields[3] = time_text(now)
  end
  if fields[5] then note_progress(fields[5], fields[6]) end
  redis.call('HSET', key, 'run', token)
  redis.call('HDEL', key, 'wakes', 'lapsed', 'sent', 'task')
  local attempts = fields[1] == token and tonumber(fields[2]) or redis.call('HINCRBY', key, 'attempts', 1)
  due(name, now + tonumber(ARGV[7]))
  return { 'run', attempts, time_text(now - tonumber(fields[3])), poll_needed_by(now + tonumber(ARGV[7])) }
end
if (fields[1] or fields[4]) ~= token then return { 'lost' } end
if what == 'keep' then         -- [6] lease, seconds
  redis.call('HSET', key, 'run', token)
  due(name, now + tonumber(ARGV[6]))
  return { 'kept' }
elseif what == 'again' then    -- [6] seconds to the next attempt
  redis.call('HDEL', key, 'run', 'lapsed')
  due(name, now + tonumber(ARGV[6]))
  return { 'again', time_text(now + tonumber(ARGV[6])) }
else                           -- end: [6] JSON of the result   [7] seconds it is kept
  forget()
  redis.call('SET', P .. 'done:' .. id, ARGV[6], 'EX', ARGV[7])
  return { 'ended' }
end
