-- Decide whether a submission may be sent now: by the limits of its profile, then of its model.
-- P .. 'pauses'          hash    for the exporter: gate:<profile> or pollgate:<profile> -> time the pause ends,
--                                 held:<profile> -> time it was paused by hand
-- P .. 'gate:<profile>'  hash
--   slots   generations in flight             slots:<path>  the same of one model
--   held    time it was paused by hand        turn          number of submissions granted
--   until   time the pause ends               level         refusals in a row
--   probe   time a probe ends at the latest   prober        task id of the probe
--   ramp    time submissions began to ramp up            used  submissions granted since
-- The calling worker passes the limits: { own = {…}, models = { path = {…} } }, each with
--   in_flight, rates = { [seconds] = most }, day, batch; a missing value means no limit.

local PROBE_SECONDS = 90
local RAMP_SECONDS = 10

local function gate_key(profile) return P .. 'gate:' .. profile end

-- Return the time until which submissions are blocked, or nil.
local function paused_until_of(profile)
  local gate = redis.call('HMGET', gate_key(profile), 'until', 'held')
  if gate[2] then return now + RECHECK_SECONDS end
  return gate[1] and now < tonumber(gate[1]) and tonumber(gate[1]) or nil
end

-- After a pause one probe is sent, then submissions ramp up. Return the time until which they are
-- blocked, or nil and what the next submission counts as.
local function ramp_blocked_until(profile, gate)
  if not gate.ramp then
    if gate.probe and now < tonumber(gate.probe) then return tonumber(gate.probe) end
    return nil, 'probe'
  end
  local elapsed = now - tonumber(gate.ramp)
  if elapsed >= RAMP_SECONDS then
    redis.call('HDEL', gate_key(profile), 'until', 'level', 'probe', 'prober', 'ramp', 'used')
    return nil
  end
  -- 2 in the first second, then doubling: 2, 4, 8, … 1024
  if tonumber(gate.used or 0) >= 2 ^ (math.floor(elapsed) + 2) - 2 then return now + 0.5 end
  return nil, 'ramp'
end

-- With no slot taken, delete slots and reservations that an older version did not release.
local function reset_idle_profile(profile)
  drop_reserved(profile)
  for _, field in ipairs(redis.call('HKEYS', gate_key(profile))) do
    if string.sub(field, 1, 6) == 'slots:' then redis.call('HDEL', gate_key(profile), field) end
  end
end

-- Return the time until which the profile is blocked, or nil and what the next submission counts as.
local function profile_blocked_until(profile, own)
  local shut = paused_until_of(profile)
  if shut then return shut end
  local found = redis.call('HMGET', gate_key(profile), 'slots', 'level', 'probe', 'ramp', 'used')
  local slots = tonumber(found[1] or 0)
  if slots <= 0 then reset_idle_profile(profile) end
  if own.in_flight and slots >= own.in_flight then return now + RECHECK_SECONDS end
  local full = rates_full_until(profile, nil, own.rates)
  if full then return math.min(full, now + RECHECK_SECONDS) end
  if not found[2] then return nil end
  return ramp_blocked_until(profile, { probe = found[3], ramp = found[4], used = found[5] })
end

-- Return the time until which the model is blocked by its own limits, or nil.
local function model_blocked_until(profile, path, limits)
  if not limits then return nil end
  local slots = tonumber(redis.call('HGET', gate_key(profile), 'slots:' .. path) or 0)
  if slots <= 0 then drop_reserved(profile, path) end
  if limits.in_flight and slots >= limits.in_flight then return now + RECHECK_SECONDS end
  local full = rates_full_until(profile, path, limits.rates)
  return full and math.min(full, now + RECHECK_SECONDS)
end

local function occupy_slot(id, profile, path)
  if redis.call('HSETNX', record_key(id), 'slot', path) == 1 then count_slot(profile, path, 1) end
end

-- Reserve everything that a submission needs. `turn`: its number, if it has waited.
local function reserve(id, profile, path, limits, counts_as, turn)
  occupy_slot(id, profile, path)
  local key, model = gate_key(profile), limits.models[path]
  if limits.own.rates or (model and model.rates) then
    turn = turn or redis.call('HINCRBY', key, 'turn', 1)
    write(id, 'grant', turn)
    add_to_windows(turn, profile, nil, limits.own.rates)
    add_to_windows(turn, profile, path, model and model.rates)
  end
  if counts_as == 'probe' then redis.call('HSET', key, 'probe', time_text(now + PROBE_SECONDS), 'prober', id) end
  if counts_as == 'ramp' then redis.call('HINCRBY', key, 'used', 1) end
end

-- The API accepted a create, or rejected it for its content: submissions may ramp up again.
-- An answer during the pause belongs to a create that was sent before it, so it proves nothing.
local function begin_ramp(profile)
  local gate = redis.call('HMGET', gate_key(profile), 'level', 'ramp', 'until')
  if gate[1] and not gate[2] and now >= tonumber(gate[3] or 0) then
    redis.call('HSET', gate_key(profile), 'ramp', time_text(now), 'used', 0)
    redis.call('HDEL', gate_key(profile), 'probe', 'prober')
    schedule_admission(profile, now)
  end
end

-- Refused creates pause the profile. Refusals during a pause count as one.
local function pause(key, seconds, first, ceiling)
  local gate = redis.call('HMGET', key, 'until', 'level')
  local level = tonumber(gate[2] or 0)
  local paused_until = tonumber(gate[1] or 0)
  if now >= paused_until then
    level = level + 1
    redis.call('HSET', key, 'level', level)
  end
  local wait = seconds or math.min(ceiling, first * 2 ^ math.min(math.max(level, 1) - 1, 20))
  paused_until = math.max(paused_until, now + wait)
  redis.call('HSET', key, 'until', time_text(paused_until))
  redis.call('HDEL', key, 'probe', 'prober', 'ramp', 'used')
  redis.call('HSET', P .. 'pauses', string.sub(key, #P + 1), time_text(paused_until))
  return paused_until
end
