-- The lease of one download, notification, `each` call or batch task: from before its message is published to its end.
-- P .. 'transfer:<task id>'  hash    parked (signature), run, lapsed (run), wakes, revoked, first, attempts,
--                                    elsewhere (attempts in a row that were left to other workers),
--                                    deliveries (to a worker, since an attempt last ended), cause and reason (of that end),
--                                    verdict (JSON: the value or error, which only has to be dispatched),
--                                    tail (digest of the tasks that follow), dispatched (they were published);
--                                    of a task that waits for a batch: batch, returned (how often it ended before),
--                                    reopened (a member runs again, which this run may not have found);
--                                    until its first message arrives also task, sent

local RESULT_SECONDS = 7 * 24 * 3600 -- for which the result of a task that is given up here is kept
local OVER_SECONDS = 2 -- until the batch is checked again, if it ended during the check

local what, id, token = args.what, args.task_id, args.run
local name = 'transfer:' .. id
local key = P .. name
local lease = hash_at(key)

local function forget()
  redis.call('ZREM', DUE, name)
  redis.call('DEL', key)
end

-- Return why a message may not begin an attempt, or nil.
local function refusal(tail)
  local done = redis.call('GET', P .. 'done:' .. id)
  local own = done and cjson.decode(done).tail or lease.first and lease.tail or tail -- 0.1.0 wrote none
  if tail ~= '' and own ~= tail then return 'other' end
  if done then return 'done' end
  local score = redis.call('ZSCORE', DUE, name)
  if lease.run == token or not score or now >= tonumber(score) then return nil end
  if lease.run then return 'busy' end
  -- A repeated message between two attempts. Once the next attempt was woken, any message may begin it.
  if lease.attempts and not lease.wakes then return 'early' end
end

-- Return the numbers of this attempt and of this delivery. A call that is repeated because its answer was lost
-- counts once. After the dispatch only the stored result is missing, which is tried for longer.
local function count_delivery()
  local attempts, deliveries = tonumber(lease.attempts or 0), tonumber(lease.deliveries or 0)
  if lease.run == token then return attempts, deliveries end
  if lease.dispatched or not lease.verdict then attempts = attempts + 1 end
  return attempts, lease.dispatched and 1 or deliveries + 1
end

-- Give the task up: its error could not be dispatched either.
local function give_up()
  forget()
  local result = { error = 'given up: ' .. (lease.cause or 'its workers stopped'), tail = lease.tail or '' }
  redis.call('SET', P .. 'done:' .. id, cjson.encode(result), 'EX', RESULT_SECONDS)
  return { 'done' }
end

-- Return whether a generation has begun and a message that the same tasks follow has arrived.
local function has_arrived(tail)
  local record = record_of(id)
  if not record.state or record.state == 'tombstone' then return false end
  if tail == '' or not record.tail or record.tail == tail then return true end
  return redis.call('HEXISTS', P .. 'continuations:' .. id, tail) == 1
end

if what == 'expect' then       -- `seconds` until it is overdue; `task`: its name
  if lease.parked or has_arrived(args.tail) or redis.call('EXISTS', P .. 'done:' .. id) == 1 then return { 'known' } end
  redis.call('HSET', key, 'parked', args.signature, 'sent', time_text(now), 'task', args.task)
  due(name, now + args.seconds)
  return { 'expected' }
elseif what == 'forget' then
  forget()
  return { 'forgotten' }
elseif what == 'revoke' then   -- one last wake, so that a worker stores REVOKED
  if not lease.parked then return { 'unknown' } end
  redis.call('HSET', key, 'revoked', 1)
  if not lease.run then due(name, now) end
  return { 'revoked' }
elseif what == 'repeat' then
  -- Its result shows that its attempts have ended, and is deleted in the same step, so it is repeated once.
  local text = redis.call('GET', P .. 'done:' .. id)
  local result = text and cjson.decode(text)
  if lease.parked or not result or not result.error then return { 'unchanged' } end
  redis.call('DEL', P .. 'done:' .. id, P .. 'again:' .. args.generation)
  if record_of(args.generation).state then drop(args.generation, 'each_error') end
  redis.call('HSET', key, 'parked', args.signature, 'first', time_text(now), 'tail', result.tail or '')
  due(name, now)
  return { 'repeated', '', time_text(now) }
elseif what == 'begin' then
  local refused = refusal(args.tail)
  if refused then return { refused } end
  if lease.sent then note_progress(lease.sent, lease.task) end
  local attempts, deliveries = count_delivery()
  if deliveries > MAX_DELIVERIES + 1 then return give_up() end
  local begun = { 'run', token, 'attempts', attempts, 'deliveries', deliveries }
  if not lease.first then
    lease.first = time_text(now)
    for _, part in ipairs({ 'parked', args.signature, 'first', lease.first, 'tail', args.tail }) do begun[#begun + 1] = part end
  end
  redis.call('HSET', key, unpack(begun))
  redis.call('HDEL', key, 'wakes', 'lapsed', 'sent', 'task', 'reopened')
  due(name, now + args.lease)
  return { deliveries > MAX_DELIVERIES and 'abandoned' or 'run', '', poll_needed_by(now + args.lease),
    'attempt', tostring(attempts), 'elapsed_seconds', time_text(now - tonumber(lease.first)),
    'is_dispatched', lease.dispatched or '', 'deliveries', tostring(deliveries), 'verdict', lease.verdict or '',
    'elsewhere', lease.elsewhere or '', 'cause', lease.cause or '', 'returned', lease.returned or '' }
end
if (lease.run or lease.lapsed) ~= token then return { 'lost' } end
if what == 'keep' then
  redis.call('HSET', key, 'run', token)
  due(name, now + args.lease)
  return { 'kept' }
elseif what == 'dispatched' then
  redis.call('HSET', key, 'dispatched', 1)
  due(name, now + RESULT_LEASE)
  return { 'dispatched' }
elseif what == 'wait' then     -- `seconds` until the batch is checked again
  local batch = batch_key(args.batch_id)
  redis.call('HSET', key, 'parked', args.signature, 'batch', args.batch_id)
  redis.call('HDEL', key, 'run', 'lapsed', 'attempts', 'deliveries', 'wakes', 'reopened')
  if redis.call('HDEL', key, 'dispatched') == 1 then -- the outcomes from before a member was retried
    redis.call('HSET', key, 'returned', redis.call('HINCRBY', batch, 'reopened', 1))
  end
  local found = fields_at(batch, 'waiters', 'expires')
  local waiters, expires = found.waiters or '', tonumber(found.expires or 0)
  if not string.find('\n' .. waiters, '\n' .. id .. '\n', 1, true) then
    redis.call('HSET', batch, 'waiters', waiters .. id .. '\n')
  end
  local at = now + (is_batch_over(args.batch_id) and OVER_SECONDS or args.seconds)
  if expires > now then at = math.min(at, expires) end
  due(name, at)
  return { 'waits', '', poll_needed_by(at) }
elseif what == 'decide' then   -- `lease` of this run, which dispatches the verdict (JSON); nil: the next run does
  local is_last = args.lease
  if lease.lapsed or lease.cause or not is_last then redis.call('HDEL', key, 'cause', 'lapsed', 'run') end
  redis.call('HSET', key, 'verdict', args.verdict, 'deliveries', is_last and 1 or 0, unpack(is_last and { 'run', token } or {}))
  due(name, now + (args.lease or 0))
  return { 'decided', '', is_last and '' or time_text(now) }
elseif what == 'again' then    -- `seconds` to the next attempt; `reason`: a RetryReason
  local reason = args.reason
  if reason == 'elsewhere' then
    redis.call('HINCRBY', key, 'attempts', -1)
    redis.call('HINCRBY', key, 'elsewhere', 1)
  end
  if reason ~= 'undispatched' then redis.call('HDEL', key, 'deliveries') end
  if reason == 'failed' or reason == 'storage' then redis.call('HDEL', key, 'elsewhere') end
  redis.call('HSET', key, 'cause', args.cause, 'reason', reason)
  redis.call('HDEL', key, 'run', 'lapsed', 'wakes')
  due(name, now + args.seconds)
  return { 'again', '', time_text(now + args.seconds) }
else                           -- end: `result`, JSON, and `ttl`, seconds it is kept; `generation`, or nil, and the `field`
                               -- of its record with the `error`, or nil
  local generation, field = args.generation, args.field
  forget()
  redis.call('SET', P .. 'done:' .. id, args.result, 'EX', args.ttl)
  if lease.batch then redis.call('SET', call_key(id), lease.parked, 'EX', args.ttl) end
  if lease.reopened then reopen(lease.batch) end
  if generation and record_of(generation).state then
    if args.error then write(generation, field, args.error) else drop(generation, field) end
    if field == 'notify_error' and not args.error then note_time(generation, 't') end
    if field == 'each_error' and args.error then redis.call('SET', P .. 'again:' .. generation, lease.parked, 'EX', args.ttl) end
  end
  return { 'ended' }
end
