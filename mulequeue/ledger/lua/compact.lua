-- Store a delivered record in its packed form (packed.py), unless it has changed since it was read.
-- `outcome` and `files`, if it has them; `count`: number of its fields
-- Items: these fields as name, value, …, then those of the packed form

local id, fields = args.task_id, 2 * args.count
local key, files = record_key(id), files_key(id)

local function is_unchanged()
  local texts, known = redis.call('MGET', outcome_key(id), files), hash_at(key)
  for i = 1, fields, 2 do
    if known[items[i]] ~= items[i + 1] then return false end
    known[items[i]] = nil
  end
  return not next(known) and (texts[1] or nil) == args.outcome and (texts[2] or nil) == args.files
end

local ttl = redis.call('PTTL', key)
if ttl <= 0 or #open_continuations(id) > 0 or not is_unchanged() then return 0 end
redis.call('DEL', key, outcome_key(id), files)
redis.call('HSET', key, unpack(items, 1 + fields))
redis.call('PEXPIRE', key, ttl)
return 1
