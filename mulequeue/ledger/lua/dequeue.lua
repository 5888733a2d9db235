-- Grant waiting submissions as far as the limits allow, in the order of the wait queues.

local MAX_SKIPPED = 500    -- most entries per call that are no longer waiting

local function group_of(path, limits) return limits.models[path] and path or '' end

-- Return whether the head of a queue still waits there; if not, remove it.
local function is_first(id, fields, profile, group, batch, limits)
  local group_now = group_of(fields.path, limits)
  if fields.state ~= 'waiting' or fields.slot or fields.group ~= group then
    remove_from_queue(id, profile, group, batch)
  elseif group_now ~= group then -- its model got, or lost, own limits
    enqueue(id, profile, group_now)
  else
    return true
  end
  return false
end

local function grant(id, fields, profile, group, batch, limits, counts_as)
  local turn = redis.call('HINCRBY', gate_key(profile), 'turn', 1)
  reserve(id, profile, fields.path, limits, counts_as, turn)
  redis.call('ZADD', rotation_key(profile, group), rotation_score(batch, turn), batch)
  remove_from_queue(id, profile, group, batch)
end

-- Return the time until which the head of a queue is blocked by its model's limits, or nil.
local function first_full_until(fields, group, limits, profile)
  return group ~= '' and model_blocked_until(profile, group, limits.models[group]) or nil
end

-- Grant at most so many submissions; return their ids, reserved and out of their queues.
-- known: fingerprints of this worker's keys
-- postpone: called for a task of another key; nil: leave it, and those behind it, to a sweep
local function dequeue(profile, limits, most, known, postpone)
  local granted, full, examined, again = {}, {}, 0, nil
  while true do
    examined = examined + 1
    if #granted >= most or examined > most + MAX_SKIPPED then again = now break end
    local closed, counts_as = profile_blocked_until(profile, limits.own)
    if closed then again = closed break end
    local group, batch = next_queue(profile, full)
    if not group then break end
    local id = redis.call('ZRANGE', queue_key(profile, group, batch), 0, 0)[1]
    local found = read(id or '', 'state', 'slot', 'group', 'path', 'key')
    local fields = { state = found[1], slot = found[2], group = found[3], path = found[4] or '' }
    if not id then
      delete_queue_if_empty(profile, group, batch)
    elseif is_first(id, fields, profile, group, batch, limits) then
      if not known[found[5]] then
        if not postpone then again = now break end
        remove_from_queue(id, profile, group, batch)
        postpone(id, found[5])
      else
        full[group] = first_full_until(fields, group, limits, profile)
        if not full[group] then
          grant(id, fields, profile, group, batch, limits, counts_as)
          granted[#granted + 1] = id
        end
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
  return granted
end
