-- Status checks that settled nothing: when to look again. A claim that lapsed changes nothing.
-- ARGV[3] claim token   [4] JSON: a list of [id, due time, checks to add, errors in a row]
-- Answers how many were written.

local token, written = ARGV[3], 0

-- `seen`: how old it was when a check found it still active, so that its end tells how long it lived.
local function count_checks(id, held, more, errors)
  local polls = tonumber(held[4] or 0) + more
  if errors ~= '0' or not held[5] then return write(id, 'polls', polls) end
  write(id, 'polls', polls, 'seen', string.format('%.2f', now - tonumber(held[5])))
end

for _, row in ipairs(cjson.decode(ARGV[4])) do
  local id, errors = row[1], tostring(row[4])
  local held = read(id, 'state', 'claim', 'errors', 'polls', 'started')
  if held[1] == 'generating' and held[2] == token then
    redis.call('HDEL', record_key(id), 'claim')
    if row[3] ~= 0 then count_checks(id, held, row[3], errors) end
    if errors ~= (held[3] or '0') then
      if errors == '0' then redis.call('HDEL', record_key(id), 'errors')
      else write(id, 'errors', errors) end
    end
    due(id, row[2])
    written = written + 1
  end
end
return written
