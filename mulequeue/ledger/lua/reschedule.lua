-- Release records whose status check settled nothing. A lapsed claim changes nothing.
-- `rows`: JSON, a list of [id, due time, checks to add, errors in a row], and if it has changed, the problem ('': none)
-- `seen` of a record: its age when a check last found it active, the lower bound of its duration.
-- Answers the number of records written.

local written = 0
local call = redis.call -- this runs at every check: the saving pays for `seen`
for _, row in ipairs(cjson.decode(args.rows)) do
  local id, errors = row[1], row[4]
  local key = record_key(id)
  local fields = call('HMGET', key, 'state', 'claim', 'errors', 'polls', 'started')
  if fields[1] == 'generating' and fields[2] == args.token then
    call('HDEL', key, 'claim')
    if row[3] ~= 0 then
      local polls = (fields[4] or 0) + row[3]
      if errors == 0 and fields[5] then call('HSET', key, 'polls', polls, 'seen', string.format('%.2f', now - fields[5]))
      else call('HSET', key, 'polls', polls) end
    end
    if errors ~= tonumber(fields[3] or 0) then
      if errors == 0 then call('HDEL', key, 'errors')
      else call('HSET', key, 'errors', errors) end
    end
    if row[5] == '' then call('HDEL', key, 'problem') elseif row[5] then call('HSET', key, 'problem', row[5]) end
    call('ZADD', DUE, time_text(row[2]), id)
    written = written + 1
  end
end
return written
