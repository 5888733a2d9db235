-- Renew the claims of checks that are still in progress.
-- ARGV[3] claim token   [4] lease, seconds   [5…] ids

for i = 5, #ARGV do
  local fields = redis.call('HMGET', record_key(ARGV[i]), 'state', 'claim')
  if fields[1] == 'generating' and fields[2] == ARGV[3] then due(ARGV[i], now + tonumber(ARGV[4])) end
end
