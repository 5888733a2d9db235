-- Rates as the API sees them: no interval of a second or a minute contains one create too many.
-- A submission holds a place from its reservation until one window after its answer, or, without an
-- answer, one window after its lease ended: its create arrived at some time in between.
-- P .. 'rate:<profile>:<seconds>'         zset  submission's number by when its place is free; '+inf':
--                                               not known yet, because it is not sent
-- P .. 'rate:<profile>:<seconds>:<path>'  zset  the same of one model
-- The record's `grant` is the number of its submission.

local WINDOWS = { 1, 60 }
local SLEWED = 1.001                 -- a clock that is being adjusted may run faster than the API's
local PLACES_KEPT = 7 * 24 * 3600    -- reached only by a model without new submissions

local function rate_key(profile, seconds, path)
  local key = P .. 'rate:' .. profile .. ':' .. seconds
  return path and key .. ':' .. path or key
end

-- Return the time until which the windows of a scope are full, or nil. `path`: nil for the profile.
local function rates_full_until(profile, path, rates)
  local full
  for seconds, most in pairs(rates or {}) do
    local key = rate_key(profile, seconds, path)
    redis.call('ZREMRANGEBYSCORE', key, '-inf', time_text(now))
    local taken = redis.call('ZCARD', key)
    if taken >= most then
      local free = redis.call('ZRANGE', key, taken - most, taken - most, 'WITHSCORES')[2]
      full = math.max(full or 0, free == 'inf' and math.huge or tonumber(free))
    end
  end
  return full
end

local function add_to_windows(grant, profile, path, rates)
  for seconds in pairs(rates or {}) do
    local key = rate_key(profile, seconds, path)
    redis.call('ZADD', key, '+inf', grant)
    redis.call('EXPIRE', key, PLACES_KEPT)
  end
end

local function each_window(profile, path, act)
  for _, seconds in ipairs(WINDOWS) do
    act(rate_key(profile, seconds), seconds)
    if path then act(rate_key(profile, seconds, path), seconds) end
  end
end

-- Free the places of a submission one window after `from`. Return the first such time, or nil if it had no place.
local function expire_in_windows_after(grant, profile, path, from)
  local first
  each_window(profile, path, function(key, seconds)
    local free = from + seconds * SLEWED
    if redis.call('ZADD', key, 'XX', 'CH', time_text(free), grant) == 1 then
      first = math.min(first or free, free)
    end
  end)
  return first
end

-- With no slot taken, any reservation was left behind by an older version.
local function drop_reserved(profile, path)
  for _, seconds in ipairs(WINDOWS) do
    redis.call('ZREMRANGEBYSCORE', rate_key(profile, seconds, path), '+inf', '+inf')
  end
end

-- Remove the places of a submission whose create was never sent.
local function remove_from_windows(grant, profile, path)
  each_window(profile, path, function(key) redis.call('ZREM', key, grant) end)
end
