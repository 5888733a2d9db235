-- Waiting submissions are in queues: one per batch, and a first one for those without a batch. A queue is
-- first in, first out; the queues of batches take turns. The queues of a fair key take one turn together, and
-- take turns among themselves within it. A model with separate limits or a separate pause has separate queues (a
-- group), so that it does not block others. A task that was refused again waits in a queue of such tasks, which
-- takes turns with the batches.
-- P .. 'groups:<profile>'                zset  groups that are not empty: '' or a model's path
-- P .. 'ring:<profile>:<group>'          zset  batches and '<tab><fair key>' of a group by their last turn
-- P .. 'lane:<profile>:<group>:<batch>'  zset  task ids by time of arrival
-- P .. 'full:<profile>:<group>'          zset  '<tab><fair key>' of a group by their last turn: at their limit
--   in flight, so that they are not in the rotation until one of their generations ends
-- due index, 'gate:<profile>'            time the next submission may be sent, as long as some wait
-- The record's `group` names its group; a record without it is in no queue. Its `fair_key` never changes.

local RECHECK_SECONDS = 30       -- seconds to the next attempt if the time of a free slot is not known
local FIRST = -1e12         -- added to the turns of the queue that precedes all batches

local REFUSED = '\nrefused'  -- name of the queue of tasks that were refused again

local admission_at = nil         -- when the next submission may be sent, if this script released a place

local function groups_key(profile) return P .. 'groups:' .. profile end
-- The name of a fair key in the rotation of a group; '' without one. A key has no control characters.
local function turn_of(fair_key) return fair_key and '\t' .. fair_key or '' end

-- The batches of a fair key rotate, and have their queues, in a group of their own: `group .. turn_of(fair_key)`.
local function rotation_key(profile, group) return P .. 'ring:' .. profile .. ':' .. group end
local function queue_key(profile, group, batch)
  return P .. 'lane:' .. profile .. ':' .. group .. ':' .. batch
end

local function has_waiting(profile) return redis.call('EXISTS', groups_key(profile)) == 1 end

-- The next submission may be sent from `at` on: if any waits, make the profile due then.
local function schedule_admission(profile, at)
  if not has_waiting(profile) then return end
  local coming = tonumber(redis.call('ZSCORE', DUE, 'gate:' .. profile) or math.huge)
  if at < coming then due('gate:' .. profile, at) end
  admission_at = math.min(at, coming, admission_at or math.huge)
end

local function rotation_score(batch, turn) return batch == '' and FIRST + turn or turn end

local function full_key(profile, group) return P .. 'full:' .. profile .. ':' .. group end

-- Take a fair key out of the rotation of a group; it keeps its last turn.
local function set_aside(profile, group, key)
  redis.call('ZADD', full_key(profile, group), redis.call('ZSCORE', rotation_key(profile, group), key), key)
  redis.call('ZREM', rotation_key(profile, group), key)
end

-- Return a fair key to the rotations that it was taken out of.
local function restore(profile, key)
  for _, group in ipairs(redis.call('ZRANGE', groups_key(profile), 0, -1)) do
    local turn = redis.call('ZSCORE', full_key(profile, group), key)
    if turn then
      redis.call('ZREM', full_key(profile, group), key)
      redis.call('ZADD', rotation_key(profile, group), turn, key)
    end
  end
end

local function restore_all(profile)
  for _, group in ipairs(redis.call('ZRANGE', groups_key(profile), 0, -1)) do
    for _, key in ipairs(redis.call('ZRANGE', full_key(profile, group), 0, -1)) do restore(profile, key) end
  end
end

local function delete_queue_if_empty(profile, group, key, batch)
  redis.call('ZREM', rotation_key(profile, group .. key), batch)
  if redis.call('EXISTS', rotation_key(profile, group .. key)) == 1 then return end
  if key ~= '' then
    redis.call('ZREM', rotation_key(profile, group), key)
    redis.call('ZREM', full_key(profile, group), key)
  end
  if redis.call('EXISTS', rotation_key(profile, group), full_key(profile, group)) > 0 then return end
  redis.call('ZREM', groups_key(profile), group)
  if not has_waiting(profile) then redis.call('ZREM', DUE, 'gate:' .. profile) end
end

local function was_refused_again(record) return tonumber(record.refusals or 0) > 1 end

-- The name of a task's queue in its group.
local function queue_of(record) return was_refused_again(record) and REFUSED or record.batch or '' end

local function remove_from_queue(id, profile, group, key, batch)
  drop(id, 'group')
  local lane = queue_key(profile, group .. key, batch)
  redis.call('ZREM', lane, id)
  if redis.call('EXISTS', lane) == 0 then delete_queue_if_empty(profile, group, key, batch) end
end

-- A waiting task is also due when it expires.
local function due_waiting(id, at)
  due(id, math.min(at, tonumber(record_of(id).expires) or math.huge))
end

-- Append a task to its queue. A new queue follows those that had no turn yet.
local function enqueue(id, profile, group)
  local record = record_of(id)
  local queue, key = queue_of(record), turn_of(record.fair_key)
  if record.group and record.group ~= group then remove_from_queue(id, profile, record.group, key, queue) end
  write(id, 'group', group)
  local arrived = not was_refused_again(record) and record.created or time_text(now)
  redis.call('ZADD', queue_key(profile, group .. key, queue), arrived, id)
  local turn = tonumber(redis.call('HGET', P .. 'gate:' .. profile, 'turn') or 0)
  redis.call('ZADD', rotation_key(profile, group .. key), 'NX', rotation_score(queue, turn), queue)
  if key ~= '' and not redis.call('ZSCORE', full_key(profile, group), key) then
    redis.call('ZADD', rotation_key(profile, group), 'NX', turn, key)
  end
  redis.call('ZADD', groups_key(profile), 0, group)
  -- The queue wakes the task. If its entry there is lost, the due index finds the task later.
  due_waiting(id, now + 1800 + 3600 * random_part(id))
end

-- Return group, fair key and batch of the queue with the oldest turn, or nil. Groups in `full` are skipped.
local function next_queue(profile, full)
  local first, group, name
  for _, found in ipairs(redis.call('ZRANGE', groups_key(profile), 0, -1)) do
    local head = not full[found] and redis.call('ZRANGE', rotation_key(profile, found), 0, 0, 'WITHSCORES')
    if head and head[1] and (not first or tonumber(head[2]) < first) then
      first, group, name = tonumber(head[2]), found, head[1]
    end
  end
  if not group or string.sub(name, 1, 1) ~= '\t' then return group, '', name end
  return group, name, redis.call('ZRANGE', rotation_key(profile, group .. name), 0, 0)[1] or ''
end
