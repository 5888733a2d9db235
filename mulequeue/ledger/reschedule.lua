-- Status checks that settled nothing: when to look again. A claim that lapsed changes nothing.
-- ARGV[3] claim token   [4…] id, due time, checks to add, errors in a row, …
-- Answers how many were written.

local token, written = ARGV[3], 0
for i = 4, #ARGV, 4 do
  local id = ARGV[i]
  local held = read(id, 'state', 'claim', 'errors')
  if held[1] == 'generating' and held[2] == token then
    redis.call('HDEL', record_key(id), 'claim')
    if ARGV[i + 2] ~= '0' then redis.call('HINCRBY', record_key(id), 'polls', ARGV[i + 2]) end
    if ARGV[i + 3] ~= (held[3] or '0') then
      if ARGV[i + 3] == '0' then redis.call('HDEL', record_key(id), 'errors')
      else write(id, 'errors', ARGV[i + 3]) end
    end
    redis.call('ZADD', DUE, ARGV[i + 1], id)
    written = written + 1
  end
end
return written
