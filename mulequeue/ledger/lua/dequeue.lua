-- Those who wait go, as far as there is room and in the order of the lanes.

local MOST_SKIPPED = 500    -- entries of a lane that are no longer waiting, in one call

local function group_of(path, limits) return limits.models[path] and path or '' end

-- Whether the first of a lane still stands there; if not, it has left it.
local function is_first(id, held, profile, group, batch, limits)
  local group_now = group_of(held.path, limits)
  if held.state ~= 'waiting' or held.slot or held.group ~= group then
    leave_lane(id, profile, group, batch)
  elseif group_now ~= group then -- its model got, or lost, limits of its own
    enter_lane(id, profile, group_now)
  else
    return true
  end
  return false
end

local function grant(id, held, profile, group, batch, limits, counts_as)
  local turn = redis.call('HINCRBY', gate_key(profile), 'turn', 1)
  reserve(id, profile, held.path, limits, counts_as, turn)
  redis.call('ZADD', ring_key(profile, group), turn_score(batch, turn), batch)
  leave_lane(id, profile, group, batch)
end

-- When there is room again for the first of a lane, or nil: now.
local function first_full_until(held, group, limits, profile)
  return group ~= '' and model_closed_until(profile, group, limits.models[group]) or nil
end

-- Grants what may go, at most so many; answers their ids, reserved and out of their lanes.
-- known: fingerprints this worker holds keys for
-- put_off: what to do with one of another key; nil: leave it, and what is behind it, to a sweep
local function drain(profile, limits, most, known, put_off)
  local granted, full, looked_at, again = {}, {}, 0, nil
  while true do
    looked_at = looked_at + 1
    if #granted >= most or looked_at > most + MOST_SKIPPED then again = now break end
    local closed, counts_as = closed_until(profile, limits.own)
    if closed then again = closed break end
    local group, batch = next_lane(profile, full)
    if not group then break end
    local id = redis.call('ZRANGE', lane_key(profile, group, batch), 0, 0)[1]
    local found = read(id or '', 'state', 'slot', 'group', 'path', 'key')
    local held = { state = found[1], slot = found[2], group = found[3], path = found[4] or '' }
    if not id then
      close_lane(profile, group, batch)
    elseif is_first(id, held, profile, group, batch, limits) then
      if not known[found[5]] then
        if not put_off then again = now break end
        leave_lane(id, profile, group, batch)
        put_off(id, found[5])
      else
        full[group] = first_full_until(held, group, limits, profile)
        if not full[group] then
          grant(id, held, profile, group, batch, limits, counts_as)
          granted[#granted + 1] = id
        end
      end
    end
  end
  for _, at in pairs(full) do again = math.min(again or at, at) end
  if somebody_waits(profile) then
    room_at = again or now + LOOK_AGAIN
    due('gate:' .. profile, room_at)
  else
    redis.call('ZREM', DUE, 'gate:' .. profile)
  end
  return granted
end
