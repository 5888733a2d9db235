-- Who waits stands in a lane: one a batch, and one before them all for those of no batch. Inside a
-- lane the first that came is the first that goes; between batches they go in turn. A model with
-- limits of its own has lanes of its own (a group), so that it holds up nobody else.
-- P .. 'groups:<profile>'                zset  groups in which somebody waits: '' or a model's path
-- P .. 'ring:<profile>:<group>'          zset  batches of a group by the turn they last had
-- P .. 'lane:<profile>:<group>:<batch>'  zset  task ids by when they came
-- due index, 'gate:<profile>'            when there may be room for the next one; as long as some wait
-- The record's `group` says in which group it stands; without it, it stands in no lane.

local RECHECK_SECONDS = 30       -- seconds to the next look when nobody can say when there is room
local FIRST = -1e12         -- added to the turns of the lane that goes before all batches

local admission_at = nil         -- when the next one may go, if this script made room

local function groups_key(profile) return P .. 'groups:' .. profile end
local function rotation_key(profile, group) return P .. 'ring:' .. profile .. ':' .. group end
local function queue_key(profile, group, batch)
  return P .. 'lane:' .. profile .. ':' .. group .. ':' .. batch
end

local function has_waiting(profile) return redis.call('EXISTS', groups_key(profile)) == 1 end

-- There is room from `at` on: look then, if somebody waits.
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

-- Behind those of its batch that came before it; a new batch goes behind those that had no turn yet.
local function enqueue(id, profile, group)
  local fields = read(id, 'batch', 'created', 'group')
  local batch = fields[1] or ''
  if fields[3] and fields[3] ~= group then remove_from_queue(id, profile, fields[3], batch) end
  write(id, 'group', group)
  redis.call('ZADD', queue_key(profile, group, batch), fields[2] or time_text(now), id)
  local turn = tonumber(redis.call('HGET', P .. 'gate:' .. profile, 'turn') or 0)
  redis.call('ZADD', rotation_key(profile, group), 'NX', rotation_score(batch, turn), batch)
  redis.call('ZADD', groups_key(profile), 0, group)
  -- Its lane is what wakes it. Should that be lost, it is found in the due index some time.
  due(id, now + 1800 + 3600 * tonumber(redis.sha1hex(id):sub(1, 4), 16) / 65536)
end

-- The lane whose turn is longest ago: group, batch, or nil. Groups in `full` are left out.
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
