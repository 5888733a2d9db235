-- Take the due entries for a sweep. The action depends on the state of each.
-- `profiles`: JSON, this worker's profiles with their limits, and of each
--   `key` its fingerprint, if this worker has the key   `checks` the most status checks this worker takes; missing: no limit
-- `chance`: random number in [0, 1), spreads postponed checks
-- Items: fingerprints of former keys of this worker
-- Answers the parts of a Claim (polling.py) after its token; the polls as JSON.

local version, most_wakes = tonumber(args.version), tonumber(args.wake_limit)
local lapses = time_text(now + args.lease)
local limits = cjson.decode(args.profiles)
local affected_profiles = {} -- profiles whose wait queues are examined
local known, by_key = {}, {}
for _, fingerprint in ipairs(items) do known[fingerprint] = true end
for name, profile in pairs(limits) do
  local key = profile.key
  if key then known[key] = true end
  if key and (not by_key[key] or name < by_key[key]) then by_key[key] = name end
end
local polls, wakes, reopening, unknown, is_mixed = {}, {}, {}, '', false
local gates = {}
local LEFT_TO_OTHERS = 1   -- seconds until a check is due again that this worker leaves to others
local LEFT_TO_OTHER_SETTINGS = 5 -- the same where others need other keys, profiles or a newer version
local PROBE_WINDOW, MAX_PROBES = 5, 16  -- seconds, and probes of generations without errors
local RECHECK_PAUSE = 15   -- seconds until a check is due again while a probe of others may end the pause early
local PROBE_LEAD = 2       -- seconds that workers which can connect have for the probe

-- Return this worker's profile for a record, or nil. The key decides, because a profile may be renamed;
-- a former key, which no profile has, belongs to the profile of the same name.
local function profile_of(key, name)
  local own = limits[name] and limits[name].key
  if own and (own == key or not by_key[key]) then return name end
  return by_key[key]
end

local function gate_of(profile)
  local gate = gates[profile]
  if not gate then
    local found = fields_at(P .. 'pollgate:' .. profile, 'until', 'level', 'probe', 'used', 'early')
    gate = { paused = tonumber(found['until'] or 0), level = found.level, probe = tonumber(found.probe or 0),
      used = tonumber(found.used or 0), is_early = found.early }
    gates[profile] = gate
  end
  return gate
end

-- Take one of the probes of the window that ends at `probe`; return whether one was left.
local function take_probe(profile, gate, has_errors)
  if now >= gate.probe then
    gate.probe, gate.used = now + PROBE_WINDOW, 0
  elseif has_errors or not gate.is_early or gate.used >= MAX_PROBES then
    return false
  end
  if not gate.is_listed then reopening[#reopening + 1] = profile end
  gate.is_listed, gate.used = true, gate.used + 1
  redis.call('HSET', P .. 'pollgate:' .. profile, 'probe', time_text(gate.probe), 'used', gate.used)
  return true
end

-- Return the time until which this check is paused, or nil; a check that may pass is a probe.
-- A generation with errors may fail whatever the API does. So it is a probe only after the pause, while the
-- others may also end a pause that the API did not ask for.
local function check_paused_until(profile, gate, has_errors)
  if not gate.level then return nil end
  if now < gate.paused and (has_errors or not gate.is_early) then
    return gate.is_early and math.min(gate.paused, now + RECHECK_PAUSE) or gate.paused
  end
  if take_probe(profile, gate, has_errors) then return nil end
  return math.max(gate.probe, now + 1)
end

-- Make an entry due again, for another worker. The time varies: the poll messages of two workers alternate, so at
-- fixed intervals the worker that cannot do this could receive each message at which the entry is due.
local function leave_to_others(id, seconds)
  due(id, now + seconds * (0.5 + random_part(id .. time_text(now))))
end

local function wake(id, signature)
  if signature then wakes[#wakes + 1] = { id, signature } end
end

-- A wake is repeated with doubling intervals until a delivery arrives.
local function count_wake(id, times)
  if times > 1 then recovered('wake') end
  due_waiting(id, now + math.min(WAKE_CEILING, WAKE_RETRY_SECONDS * 2 ^ math.min(times - 1, 20)))
end

-- Return whether a message may be in a queue with a backlog: messages of any task that were sent before it have begun
-- lately. Tasks can share a queue.
local function is_queued(sent)
  local queue = hash_at(P .. 'transfers')
  for task, latest in pairs(queue) do
    local began = queue['began:' .. task]
    if began and tonumber(sent) >= tonumber(latest) and now < began + WAKE_RETRY_SECONDS then return true end
  end
  return false
end

-- The message of a member that is downloaded waits in the queue of the downloads.
local function is_in_backlog(id)
  local record = record_of(id)
  if record.state ~= 'settled' or not record.batch then return false end
  return redis.call('HEXISTS', batch_key(record.batch), 'downloads') == 1 and is_queued(record.finished)
end

local function wake_parked(id)
  if is_in_backlog(id) then return due(id, now + WAKE_RETRY_SECONDS) end
  count_wake(id, increase(id, 'wakes'))
  wake(id, redis.call('GET', parked_key(id)))
end

local function take_generating(id, record, profile)
  local checks, gate, paused = limits[profile].checks, gate_of(profile), nil
  if checks and now < gate.paused then
    paused = math.min(gate.paused, now + RECHECK_PAUSE)
  elseif checks == 0 or checks and gate.level and now < gate.paused + PROBE_LEAD then
    return leave_to_others(id, LEFT_TO_OTHERS)
  else
    paused = check_paused_until(profile, gate, record[9])
  end
  if paused then
    -- spread over ten seconds, so that the backlog does not become due at once
    due(id, paused + 10 * ((args.chance + #polls * 0.618 + random_part(id)) % 1))
    return
  end
  if checks then limits[profile].checks = checks - 1 end
  if redis.call('HSET', record_key(id), 'claim', args.token) == 0 then recovered('claim') end
  redis.call('ZADD', DUE, lapses, id)
  polls[#polls + 1] = { id, record[6], record[7], profile, record[8] or '0', record[9] or '0',
    record[10] or '', record[11], record[12], record[13], record[14] or '' }
end

-- A waiting record is due. If it has a slot, its wake was lost or not published yet; else it is in no wait queue.
local function take_waiting(id, profile, path)
  if record_of(id).slot then return wake_parked(id) end
  enqueue(id, profile, group_of(profile, path, limits[profile].models[path]))
  affected_profiles[profile] = true
end

local function take_gate(name)
  local profile = string.sub(name, 6)
  if not limits[profile] then return leave_to_others(name, LEFT_TO_OTHER_SETTINGS) end
  affected_profiles[profile] = true
end

local function postpone(id, fingerprint, profile)
  unknown = (fingerprint or '') .. ' ' .. (profile or '')
  leave_to_others(id, LEFT_TO_OTHER_SETTINGS)
end

local function wake_granted(profile)
  local granted, is_returned = dequeue(profile, limits[profile], most_wakes - #wakes)
  is_mixed = is_mixed or is_returned
  for _, id in ipairs(granted) do wake_parked(id) end
end

local function take_transfer(id)
  local key = P .. id
  local lease = fields_at(key, 'parked', 'run', 'sent', 'revoked', 'reason')
  if lease.revoked then wake(id, lease.parked) end
  if not lease.parked or lease.revoked then
    redis.call('DEL', key)
    return redis.call('ZREM', DUE, id)
  end
  if lease.sent then
    if is_queued(lease.sent) then return due(id, now + WAKE_RETRY_SECONDS) end
    redis.call('HSET', key, 'sent', time_text(now))
    recovered('message')
  end
  -- The run may still be active. It may still end the lease, until another run begins.
  if lease.run then
    redis.call('HSET', key, 'lapsed', lease.run)
    redis.call('HDEL', key, 'run')
    recovered('transfer')
  end
  is_mixed = is_mixed or lease.reason == 'elsewhere' or lease.reason == 'storage'
  count_wake(id, redis.call('HINCRBY', key, 'wakes', 1))
  wake(id, lease.parked)
end

local function take(id)
  if string.sub(id, 1, 9) == 'transfer:' then return take_transfer(id) end
  if string.sub(id, 1, 5) == 'gate:' then return take_gate(id) end
  -- Also reads the fields of a status check: another call would cost Redis a tenth more.
  local record = redis.call('HMGET', record_key(id), 'state', 'v', 'key', 'profile', 'cancel',
    'remote_id', 'path', 'polls', 'errors', 'interval', 'submitted', 'started', 'deadline', 'problem')
  local state = record[1]
  if not state or state == 'delivered' or state == 'tombstone' then return redis.call('ZREM', DUE, id) end
  if tonumber(record[2] or 0) > version then return leave_to_others(id, LEFT_TO_OTHER_SETTINGS) end
  -- Only a status check needs the key. Any worker may wake; a grant needs the limits of the profile.
  if state == 'generating' then
    local profile = known[record[3]] and profile_of(record[3], record[4])
    if not profile then return postpone(id, record[3], record[4]) end
    return take_generating(id, record, profile)
  end
  if state == 'waiting' then
    local expired = expiry(id)
    if expired then return wake(id, settle(id, 'failed', expired)) end
    if not limits[record[4]] then return postpone(id, record[3], record[4]) end
    return take_waiting(id, record[4], record[7] or '')
  end
  if state == 'submitting' then
    recovered('submission')
    return wake(id, settle(id, record[5] and 'cancelled' or 'submit_unknown'))
  end
  if state == 'delivering' then
    recovered('delivery')
    set_state(id, 'settled')
  end
  return wake_parked(id)
end

local ids = redis.call('ZRANGEBYSCORE', DUE, '-inf', time_text(now), 'LIMIT', 0, args.limit)
for _, id in ipairs(ids) do
  if #wakes >= most_wakes then break end
  take(id)
end
-- An older version removes unknown entries from the due index.
for profile in pairs(limits) do
  if not redis.call('ZSCORE', DUE, 'gate:' .. profile) and has_waiting(profile) then affected_profiles[profile] = true end
end
for profile in pairs(affected_profiles) do wake_granted(profile) end
-- The checks as one JSON text: redis-py takes 0.05 ms to read the ten fields of one check.
return { time_text(now), unknown, #polls > 0 and cjson.encode(polls) or '[]', wakes, #ids, reopening,
  is_mixed and 1 or 0 }
