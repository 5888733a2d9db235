-- The part that precedes every script.
-- KEYS[1]   zset    P .. 'due': id scored by its due time
-- ARGV[1]   P, the prefix of every key of this fleet
-- ARGV[2]   the time in unix seconds, or '' for Redis' own clock
-- ARGV[3]   number of named arguments; they follow as name, value, …, then the items (keyspace.py)
--
-- ledger/__init__.py lists the keys. Their names are older than the words of the code. A 'ring:' is a rotation and a
-- 'lane:' is one of its wait queues; 'lives:' are durations; a 'transfer:' is the lease of a download, a notification,
-- a batch's task, or of a further canvas (a continuation); a record's 'claim_until' is the end of its delivery's lease.
-- P .. 'batch:<batch id>'    hash    number of members per bucket; size, digest (of the inputs), created, stopped,
--                                    downloads (its members are downloaded), files, downloaded,
--                                    sent, published (all members), waiters (ids of leases, one per line),
--                                    reopened (how often one of them waited again),
--                                    expires (time after which no member begins)
-- P .. 'pollgate:<profile>'  hash    pause and probe of status checks: until, level, reason; probe, used, early

local P = ARGV[1]
local DUE = KEYS[1]
local args, items = {}, {}
for i = 4, 3 + 2 * ARGV[3], 2 do args[ARGV[i]] = ARGV[i + 1] end
for i = 4 + 2 * ARGV[3], #ARGV do items[#items + 1] = ARGV[i] end
local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end

local WAKE_RETRY_SECONDS = 30      -- seconds until an unanswered wake is repeated, doubling
local WAKE_CEILING = 3600
local DELIVER_LEASE = 30   -- seconds after which a second delivery that was not renewed is woken again
local RESULT_LEASE = 120   -- seconds that storing the result of a task may take
local MAX_DELIVERIES = 5

local function time_text(at) return string.format('%.6f', at) end
local function record_key(id) return P .. 'record:' .. id end
local function parked_key(id) return P .. 'parked:' .. id end
local function call_key(id) return P .. 'call:' .. id end
local function outcome_key(id) return P .. 'outcome:' .. id end
local function files_key(id) return P .. 'files:' .. id end
local function batch_key(batch) return P .. 'batch:' .. batch end
local function random_part(text) return tonumber(string.sub(redis.sha1hex(text), 1, 4), 16) / 65536 end -- in [0, 1)
local function due(id, at) redis.call('ZADD', DUE, time_text(at), id) end

-- Return all fields of a hash by name.
local function hash_at(key)
  local flat, fields = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

-- Return the named fields of a hash.
local function fields_at(key, ...)
  local values, fields = redis.call('HMGET', key, ...), {}
  for i, name in ipairs({ ... }) do fields[name] = values[i] or nil end
  return fields
end

-- A record is read once, and what a script changes in it is written when the script ends (keyspace.py).
local records, stored = {}, {}

local function record_of(id)
  if not records[id] then
    records[id], stored[id] = hash_at(record_key(id)), {}
    for name, value in pairs(records[id]) do stored[id][name] = value end
  end
  return records[id]
end

local function write(id, ...)
  local record, given = record_of(id), { ... }
  for i = 1, #given, 2 do record[given[i]] = tostring(given[i + 1]) end
end

local function drop(id, ...)
  for _, name in ipairs({ ... }) do record_of(id)[name] = nil end
end

local function increase(id, name)
  local value = tonumber(record_of(id)[name] or 0) + 1
  write(id, name, value)
  return value
end

local function write_records()
  for id, record in pairs(records) do
    local changed, dropped = {}, {}
    for name, value in pairs(record) do
      if stored[id][name] ~= value then changed[#changed + 1], changed[#changed + 2] = name, value end
    end
    for name in pairs(stored[id]) do
      if not record[name] then dropped[#dropped + 1] = name end
    end
    if #changed > 0 then redis.call('HSET', record_key(id), unpack(changed)) end
    if #dropped > 0 then redis.call('HDEL', record_key(id), unpack(dropped)) end
  end
end

-- Append a moment to `times` of a record: a letter, milliseconds since it was created, and a reason (timeline.py).
-- Each reason is noted once per record. Redis stores a record compactly while no field has more than 64 bytes.
local function note_time(id, letter, reason)
  local record = record_of(id)
  local times = record.times or ''
  if not record.created or (reason and string.find(times, reason, 1, true)) then return end
  -- Rounded up, so that it is not before a moment that a field has with microseconds.
  local elapsed = math.max(0, math.ceil((now - tonumber(record.created)) * 1000 - 0.001))
  times = times .. letter .. string.format('%x', elapsed) .. (reason or '')
  if #times <= 64 then write(id, 'times', times) end
end

local UNDER_WAY = { 'waiting', 'submitting', 'generating' }
local OVER = { 'succeeded', 'failed', 'timed_out', 'submit_unknown', 'cancelled' }

local function is_under_way(state)
  return state == 'waiting' or state == 'submitting' or state == 'generating'
end

-- Return the bucket that counts a record: its state until it is settled, then its outcome.
local function bucket(state, status)
  if is_under_way(state) then return state end
  return status
end

-- Return the sum of the named counts of a hash.
local function sum(fields, names)
  local total = 0
  for _, name in ipairs(names) do total = total + tonumber(fields[name] or 0) end
  return total
end

-- Return whether a batch is over, and the tasks that wait for it. A batch is over when every member has an outcome and,
-- if it is downloaded, every download has ended. Members of a stopped batch that have not begun never will.
local function is_batch_over(batch)
  local found = hash_at(batch_key(batch))
  if sum(found, UNDER_WAY) > 0 then return false end
  if sum(found, OVER) < tonumber(found.size or 0) and not found.stopped then return false end
  return not found.downloads or sum(found, { 'succeeded' }) <= sum(found, { 'downloaded' }), found.waiters
end

local batch_due = nil -- the time at which tasks that wait for a batch are due, if this script ended it

-- Wake the tasks that wait for a batch, if it is over. A task that runs now checks the batch itself.
local function wake_if_over(batch)
  local is_over, waiters = is_batch_over(batch)
  if not is_over or not waiters then return end
  for id in string.gmatch(waiters, '[^\n]+') do
    local lease = fields_at(P .. 'transfer:' .. id, 'parked', 'run')
    if lease.parked and not lease.run then
      due('transfer:' .. id, now)
      batch_due = now
    end
  end
end

local REOPENED_SECONDS = 300 -- until a task that waits again for its batch is woken in any case

-- A member of a batch runs again. The tasks that have returned the outcomes of the batch wait again. A task that runs
-- now waits again when it ends, unless it finds that the batch is not over.
-- P .. 'call:<lease>'  string  the signature that wakes such a task
local function reopen(batch)
  for id in string.gmatch(redis.call('HGET', batch_key(batch), 'waiters') or '', '[^\n]+') do
    local key, signature = P .. 'transfer:' .. id, redis.call('GET', call_key(id))
    if signature then
      local done = redis.call('GET', P .. 'done:' .. id)
      redis.call('DEL', call_key(id), P .. 'done:' .. id)
      redis.call('HSET', key, 'parked', signature, 'batch', batch, 'first', time_text(now),
        'tail', done and cjson.decode(done).tail or '', 'returned', redis.call('HINCRBY', batch_key(batch), 'reopened', 1))
      due('transfer:' .. id, now + REOPENED_SECONDS)
    elseif redis.call('HEXISTS', key, 'run') == 1 then
      redis.call('HSET', key, 'reopened', 1)
    end
  end
end

local function tally(batch, old, new)
  if old == new then return end
  local keys = { P .. 'counts' }
  if batch then keys[2] = batch_key(batch) end
  for _, key in ipairs(keys) do
    if old then redis.call('HINCRBY', key, old, -1) end
    if new then redis.call('HINCRBY', key, new, 1) end
  end
  if not batch then return end
  if not is_under_way(new) then wake_if_over(batch) elseif not old or not is_under_way(old) then redis.call('PERSIST', keys[2]) end
end

local METRICS = P .. 'metrics'
local function metric(amount, ...)
  redis.call('HINCRBY', METRICS, table.concat({ ... }, '\t'), amount)
end

-- Add to a count. It may fall below 0, because an older version did not count everything: then it is deleted.
local function add(key, name, by)
  if redis.call('HINCRBY', key, name, by) <= 0 then redis.call('HDEL', key, name) end
end

local function count_state(path, old, new)
  local name = 'in_flight\t' .. (path or '') .. '\t'
  if old then add(METRICS, name .. old, -1) end
  if new ~= 'delivered' then add(METRICS, name .. new, 1) end
end

-- Count one observation of a histogram, in the first bucket that contains it.
local GENERATION_SECONDS = { 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600 }
local function observe_generation(path, seconds)
  local le = '+Inf'
  for i = #GENERATION_SECONDS, 1, -1 do
    if seconds <= GENERATION_SECONDS[i] then le = GENERATION_SECONDS[i] end
  end
  metric(1, 'generation_seconds', path, le)
  redis.call('HINCRBYFLOAT', METRICS, 'generation_seconds_sum\t' .. path, string.format('%.3f', seconds))
end

-- Count work that a process left unfinished and that is resumed.
local function recovered(what) metric(1, 'recoveries', what) end
