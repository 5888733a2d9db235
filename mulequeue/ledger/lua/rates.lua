-- Rates as the API sees them: no stretch of a second or a minute ever holds one create too many.
-- A submission has a place from its reservation until one window after its answer was seen, or, if
-- none was, one window after its lease ended: its create arrived somewhere in between.
-- P .. 'rate:<profile>:<seconds>'         zset  submission's number by when its place is free; '+inf':
--                                               nobody knows yet, because it has not left
-- P .. 'rate:<profile>:<seconds>:<path>'  zset  the same of one model
-- The record's `grant` is the number of its submission.

local WINDOWS = { 1, 60 }
local SLEWED = 1.001                 -- a clock that is being corrected may run faster than the API's
local PLACES_KEPT = 7 * 24 * 3600    -- only what nobody submits to any more lives that long

local function rate_key(profile, seconds, path)
  local key = P .. 'rate:' .. profile .. ':' .. seconds
  return path and key .. ':' .. path or key
end

-- When one more fits into the windows of a scope, or nil: now. `path`: nil for the whole profile.
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

-- Its places are free one window after `from`. Answers the first moment one is, or nil: it had none.
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

-- Nobody holds a slot: what is reserved all the same was left behind by a version that knew no places.
local function drop_reserved(profile, path)
  for _, seconds in ipairs(WINDOWS) do
    redis.call('ZREMRANGEBYSCORE', rate_key(profile, seconds, path), '+inf', '+inf')
  end
end

-- It never left.
local function remove_from_windows(grant, profile, path)
  each_window(profile, path, function(key) redis.call('ZREM', key, grant) end)
end
