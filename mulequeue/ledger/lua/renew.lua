-- Checks that are still under way keep their claims.
-- ARGV[3] claim token   [4] lease, seconds   [5…] ids

for i = 5, #ARGV do
  local held = read(ARGV[i], 'state', 'claim')
  if held[1] == 'generating' and held[2] == ARGV[3] then due(ARGV[i], now + tonumber(ARGV[4])) end
end
