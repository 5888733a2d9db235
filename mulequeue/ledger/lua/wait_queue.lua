-- Waiting submissions are in queues: one per batch, and a first one for those without a batch. A queue is
-- first in, first out; the queues of batches take turns. A model with own limits has separate queues (a
-- group), so that it does not block others.
-- P .. 'groups:<profile>'                zset  groups that are not empty: '' or a model's path
-- P .. 'ring:<profile>:<group>'          zset  batches of a group by their last turn
-- P .. 'lane:<profile>:<group>:<batch>'  zset  task ids by time of arrival
-- due index, 'gate:<profile>'            time the next one may be sent; as long as some wait
-- The record's `group` names its group; a record without it is in no queue.

local RECHECK_SECONDS = 30       -- seconds to the next attempt if the time of a free slot is not known
local FIRST = -1e12         -- added to the turns of the queue that precedes all batches

local admission_at = nil         -- when the next one may be sent, if this script released something

local function groups_key(profile) return P .. 'groups:' .. profile end
local function rotation_key(profile, group) return P .. 'ring:' .. profile .. ':' .. group end
local function queue_key(profile, group, batch)
  return P .. 'lane:' .. profile .. ':' .. group .. ':' .. batch
end

local function has_waiting(profile) return redis.call('EXISTS', groups_key(profile)) == 1 end

-- The next one may be sent from `at` on: make the profile due then, if some wait.
local function schedule_admission(profile, at)
  if not has_waiting(profile) then return end
  local coming = tonumber(redis.call('ZSCORE', DUE, 'gate:' .. profile) or math.huge)
  if at < coming then due('gate:' .. profile, at) end
  admission_at = math.min(at, coming, admission_at or math.huge)
end

local function rotation_score(batch, turn) return batch == '' and FIRST + turn or turn end

local function delete_queue_if_empty(profile, group, batch)
  redis.call('ZREM', rotation_key(profile, group), batch)
  if redis.call('EXISTS', rotation_key(profile, group)) == 1 then return end
  redis.call('ZREM', groups_key(profile), group)
  if not has_waiting(profile) then redis.call('ZREM', DUE, 'gate:' .. profile) end
end

local function remove_from_queue(id, profile, group, batch)
  redis.call('HDEL', record_key(id), 'group')
  local lane = queue_key(profile, group, batch)
  redis.call('ZREM', lane, id)
  if redis.call('EXISTS', lane) == 0 then delete_queue_if_empty(profile, group, batch) end
end

-- Append it to the queue of its batch; a new batch follows those that had no turn yet.
local function enqueue(id, profile, group)
  local fields = read(id, 'batch', 'created', 'group')
  local batch = fields[1] or ''
  if fields[3] and fields[3] ~= group then remove_from_queue(id, profile, fields[3], batch) end
  write(id, 'group', group)
  redis.call('ZADD', queue_key(profile, group, batch), fields[2] or time_text(now), id)
  local turn = tonumber(redis.call('HGET', P .. 'gate:' .. profile, 'turn') or 0)
  redis.call('ZADD', rotation_key(profile, group), 'NX', rotation_score(batch, turn), batch)
  redis.call('ZADD', groups_key(profile), 0, group)
  -- Its queue wakes it. If that entry is lost, the due index finds it later.
  due(id, now + 1800 + 3600 * tonumber(redis.sha1hex(id):sub(1, 4), 16) / 65536)
end

-- Return group and batch of the queue with the oldest turn, or nil. Groups in `full` are skipped.
local function next_queue(profile, full)
  local first, group, batch
  for _, name in ipairs(redis.call('ZRANGE', groups_key(profile), 0, -1)) do
    local head = not full[name] and redis.call('ZRANGE', rotation_key(profile, name), 0, 0, 'WITHSCORES')
    if head and head[1] and (not first or tonumber(head[2]) < first) then
      first, group, batch = tonumber(head[2]), name, head[1]
    end
  end
  return group, batch
end
