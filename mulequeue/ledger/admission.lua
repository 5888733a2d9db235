-- May a submission of this profile leave now? Grants it by taking a slot.
-- P .. 'pauses'          hash    for the exporter: gate:<profile> or pollgate:<profile> -> paused until then
-- P .. 'gate:<profile>'  hash
--   slots   generations in flight       until  paused until then
--   level   how often refused in a row  probe  a probe is under way until then
--   ramp    since when submissions ramp up again        used  granted since then

local PROBE_SECONDS = 90
local RAMP_SECONDS = 10

-- nil when it may go, else when to ask again. `limit`: most in flight, or nil.
local function refused_until(profile, limit)
  local gate = redis.call('HMGET', P .. 'gate:' .. profile, 'slots', 'until', 'level', 'probe', 'ramp', 'used')
  if gate[2] and now < tonumber(gate[2]) then return tonumber(gate[2]) end
  if limit and tonumber(gate[1] or 0) >= limit then return now + 1 end
  if not gate[3] then return nil end
  local key = P .. 'gate:' .. profile
  if not gate[5] then -- the pause is over: one probe finds out
    if gate[4] and now < tonumber(gate[4]) then return math.min(tonumber(gate[4]), now + 1) end
    redis.call('HSET', key, 'probe', time_text(now + PROBE_SECONDS))
    return nil
  end
  local elapsed = now - tonumber(gate[5])
  if elapsed >= RAMP_SECONDS then
    redis.call('HDEL', key, 'until', 'level', 'probe', 'ramp', 'used')
    return nil
  end
  -- 2 in the first second, then doubling: 2, 4, 8, … 1024
  if tonumber(gate[6] or 0) >= 2 ^ (math.floor(elapsed) + 2) - 2 then return now + 0.5 end
  redis.call('HINCRBY', key, 'used', 1)
  return nil
end

local function take_slot(id, profile)
  if redis.call('HSETNX', record_key(id), 'slot', 1) == 1 then
    redis.call('HINCRBY', P .. 'gate:' .. profile, 'slots', 1)
  end
end

-- A reserved slot is void while the profile is paused.
local function paused_until(profile)
  local paused = tonumber(redis.call('HGET', P .. 'gate:' .. profile, 'until') or 0)
  return now < paused and paused
end

-- The API took a create, or refused it for its content: submissions may ramp up again.
-- What is answered during the pause left before it, so it proves nothing.
local function reopen(profile)
  local key = P .. 'gate:' .. profile
  local gate = redis.call('HMGET', key, 'level', 'ramp')
  if gate[1] and not gate[2] and not paused_until(profile) then
    redis.call('HSET', key, 'ramp', time_text(now), 'used', 0)
    redis.call('HDEL', key, 'probe')
  end
end

-- Refused creates pause the profile. The many answers of one moment count as one refusal.
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
  redis.call('HDEL', key, 'probe', 'ramp', 'used')
  redis.call('HSET', P .. 'pauses', string.sub(key, #P + 1), time_text(paused_until))
  return paused_until
end
