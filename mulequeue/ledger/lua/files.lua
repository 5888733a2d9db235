-- Record the files that download stored. ARGV[3] task id of the generation   [4] JSON list   [5] how many
local id = ARGV[3]
local key = P .. 'files:' .. id
local fields = read(id, 'state', 'batch')
if not fields[1] then return 0 end -- the record has expired, and this key would never expire
local batch = fields[2]
local is_first = redis.call('EXISTS', key) == 0
redis.call('SET', key, ARGV[4])
local ttl = redis.call('TTL', record_key(id))
if ttl > 0 then redis.call('EXPIRE', key, ttl) end
if is_first then
  for _, name in ipairs({ P .. 'counts', batch and P .. 'batch:' .. batch or nil }) do
    redis.call('HINCRBY', name, 'files', ARGV[5])
    redis.call('HINCRBY', name, 'downloaded', 1)
  end
end
return is_first and 1 or 0
