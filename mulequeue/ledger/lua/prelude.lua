-- The part that precedes every script.
-- KEYS[1]   zset    P .. 'due': id scored by its due time
-- ARGV[1]   P, the prefix of every key of this fleet
-- ARGV[2]   the time in unix seconds, or '' for Redis' own clock
--
-- P .. 'record:<task id>'    hash    one generation; state, epoch, profile, …
-- P .. 'parked:<task id>'    string  the signature that wakes its task
-- P .. 'outcome:<task id>'   string  JSON: the API's final answer
-- P .. 'files:<task id>'     string  JSON: what download stored
-- P .. 'remote:<remote id>'  string  remote id -> task id
-- P .. 'batch:<batch id>'    hash    size, and the number of members per bucket
-- P .. 'counts'              hash    the same over the whole fleet
-- P .. 'metrics'             hash    counters of the exporter: name and labels, separated by tabs
-- P .. 'lives:<path>'        list    durations of the model's latest generations: settle.lua
-- P .. 'gate:<profile>'      hash    pause, probe and ramp of submissions: held, until, level, probe, prober, ramp, used, slots, turn
-- P .. 'pollgate:<profile>'  hash    pause and probe of status checks: until, level, probe

local P = ARGV[1]
local DUE = KEYS[1]
local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end

local WAKE_RETRY_SECONDS = 30      -- seconds until an unanswered wake is repeated, doubling
local WAKE_CEILING = 3600
local DELIVER_LEASE = 30   -- seconds a second delivery may take before it is woken again
local MAX_DELIVERIES = 5

local function time_text(at) return string.format('%.6f', at) end
local function record_key(id) return P .. 'record:' .. id end
local function parked_key(id) return P .. 'parked:' .. id end
local function outcome_key(id) return P .. 'outcome:' .. id end
local function due(id, at) redis.call('ZADD', DUE, time_text(at), id) end
local function read(id, ...) return redis.call('HMGET', record_key(id), ...) end
local function write(id, ...) return redis.call('HSET', record_key(id), ...) end

local function is_under_way(state)
  return state == 'waiting' or state == 'submitting' or state == 'generating'
end

-- Return the bucket that counts a record: its state until it is settled, then its outcome.
local function bucket(state, status)
  if is_under_way(state) then return state end
  return status
end

local function tally(batch, old, new)
  if old == new then return end
  local keys = { P .. 'counts' }
  if batch then keys[2] = P .. 'batch:' .. batch end
  for _, key in ipairs(keys) do
    if old then redis.call('HINCRBY', key, old, -1) end
    if new then redis.call('HINCRBY', key, new, 1) end
  end
  if batch and is_under_way(new) then redis.call('PERSIST', keys[2]) end
end

local METRICS = P .. 'metrics'
local function metric(amount, ...)
  redis.call('HINCRBY', METRICS, table.concat({ ... }, '\t'), amount)
end

-- Records that an older version parked were never counted, so the count may fall below 0.
local function count_state(path, old, new)
  local name = 'in_flight\t' .. (path or '') .. '\t'
  if old and redis.call('HINCRBY', METRICS, name .. old, -1) <= 0 then redis.call('HDEL', METRICS, name .. old) end
  if new ~= 'delivered' then redis.call('HINCRBY', METRICS, name .. new, 1) end
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
