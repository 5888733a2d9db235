-- Grant waiting submissions as far as the limits allow, in the order of the wait queues.

local MAX_SKIPPED = 500    -- most entries per call that are no longer waiting
local MAX_MIXED = 5        -- most grants per call while some workers cannot submit: they return their share

-- Return whether the head of a queue still waits there; if not, remove it.
local function is_first(id, profile, group, key, batch, limits)
  local record = record_of(id)
  local path = record.path or ''
  local group_now = group_of(profile, path, limits.models[path])
  if record.state ~= 'waiting' or record.slot or record.group ~= group then
    remove_from_queue(id, profile, group, key, batch)
  elseif group_now ~= group then -- its model got, or lost, own limits or a pause
    enqueue(id, profile, group_now)
  else
    return true
  end
  return false
end

-- Return group, fair key and batch of the queue whose turn it is, or nil. Fair keys at their limit are set aside.
local function next_open_queue(profile, full, own)
  while true do
    local group, key, batch = next_queue(profile, full)
    if not group or not is_key_full(profile, key, own) then return group, key, batch end
    set_aside(profile, group, key)
    redis.call('HSET', gate_key(profile), 'key_limit', own.key_in_flight)
  end
end

-- Fair keys that were set aside by another limit return to the rotation.
local function restore_by_limit(profile, own)
  local known = redis.call('HGET', gate_key(profile), 'key_limit')
  if not known or tonumber(known) == own.key_in_flight then return end
  restore_all(profile)
  redis.call('HDEL', gate_key(profile), 'key_limit')
end

local function grant(id, profile, group, key, batch, limits, counts_as, model_counts_as)
  local turn = redis.call('HINCRBY', gate_key(profile), 'turn', 1)
  reserve(id, profile, record_of(id).path or '', limits, counts_as, model_counts_as, turn)
  redis.call('ZADD', rotation_key(profile, group .. key), rotation_score(batch, turn), batch)
  if key ~= '' then redis.call('ZADD', rotation_key(profile, group), turn, key) end
  remove_from_queue(id, profile, group, key, batch)
end

-- Return the time until which nothing is granted, or nil; the most grants of this call; and whether workers
-- that cannot submit returned some lately.
local function grants_blocked_until(profile, most)
  local bounced = tonumber(redis.call('HGET', gate_key(profile), 'bounced') or 0)
  if now < bounced then return bounced end
  local is_mixed = now < bounced + MIXED_SECONDS
  return nil, is_mixed and math.min(most, MAX_MIXED) or most, is_mixed
end

-- Grant at most so many submissions; return their ids, reserved and out of their queues, and whether some
-- workers cannot submit.
local function dequeue(profile, limits, most)
  local granted, full, examined, again, is_mixed = {}, {}, 0, nil, false
  again, most, is_mixed = grants_blocked_until(profile, most)
  restore_by_limit(profile, limits.own)
  while not again do
    examined = examined + 1
    if #granted >= most or examined > most + MAX_SKIPPED then again = now break end
    local closed, counts_as = blocked_until(profile, nil, limits.own)
    if closed then again = closed break end
    local group, key, batch = next_open_queue(profile, full, limits.own)
    if not group then break end
    local id = redis.call('ZRANGE', queue_key(profile, group .. key, batch), 0, 0)[1]
    if not id then
      delete_queue_if_empty(profile, group, key, batch)
    elseif is_first(id, profile, group, key, batch, limits) then
      local shut, model_counts_as = blocked_until(profile, group, limits.models[group])
      full[group] = shut
      if not shut then
        grant(id, profile, group, key, batch, limits, counts_as, model_counts_as)
        granted[#granted + 1] = id
      end
    end
  end
  for _, at in pairs(full) do again = math.min(again or at, at) end
  if has_waiting(profile) then
    admission_at = again or now + RECHECK_SECONDS
    due('gate:' .. profile, admission_at)
  else
    redis.call('ZREM', DUE, 'gate:' .. profile)
  end
  return granted, is_mixed
end
