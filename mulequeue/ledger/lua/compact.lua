-- Store a delivered record in its packed form (packed.py), unless it has changed since it was read.
-- ARGV[3] task id   [4] its outcome, or ''   [5] its files, or ''   [6] number of its fields   [7…] these as name,
-- value, …, then those of the packed form

local id, count = ARGV[3], tonumber(ARGV[6])
local key, files = record_key(id), files_key(id)

local function is_unchanged()
  local texts = redis.call('MGET', outcome_key(id), files)
  if (texts[1] or '') ~= ARGV[4] or (texts[2] or '') ~= ARGV[5] then return false end
  local known = hash_at(key)
  for i = 7, 6 + 2 * count, 2 do
    if known[ARGV[i]] ~= ARGV[i + 1] then return false end
    known[ARGV[i]] = nil
  end
  return not next(known)
end

local ttl = redis.call('PTTL', key)
if ttl <= 0 or #open_continuations(id) > 0 or not is_unchanged() then return 0 end
redis.call('DEL', key, outcome_key(id), files)
redis.call('HSET', key, unpack(ARGV, 7 + 2 * count))
redis.call('PEXPIRE', key, ttl)
return 1
