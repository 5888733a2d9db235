-- Renew the claims of checks that are still in progress. Items: their task ids.

for _, id in ipairs(items) do
  local fields = redis.call('HMGET', record_key(id), 'state', 'claim')
  if fields[1] == 'generating' and fields[2] == args.token then due(id, now + args.lease) end
end
