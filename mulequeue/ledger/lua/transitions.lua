-- Change the state of a record, and release what the old state held: slot, places, queue, day's budget.
-- P .. 'day:<profile>:<day>'  hash  submissions of that UTC day (days since 1970): total, and by path

local function count(key, name, by)
  if redis.call('HINCRBY', key, name, by) == 0 then redis.call('HDEL', key, name) end
end

-- Slots of the whole profile and of the model's path, which `slot` of the record names.
local function count_slot(profile, path, by)
  local gate = P .. 'gate:' .. profile
  redis.call('HINCRBY', gate, 'slots', by)
  if path ~= '' and path ~= '1' then count(gate, 'slots:' .. path, by) end
end

local function day_key(profile, day) return P .. 'day:' .. profile .. ':' .. day end

-- Its create was not paid: give its share of the day's budget back.
local function refund_day_budget(id)
  local fields = read(id, 'day', 'profile', 'path')
  if not fields[1] then return end
  redis.call('HDEL', record_key(id), 'day')
  local key = day_key(fields[2], fields[1])
  if redis.call('EXISTS', key) == 0 then return end
  redis.call('HINCRBY', key, 'total', -1)
  if fields[3] then redis.call('HINCRBY', key, fields[3], -1) end
end

-- The API has answered, so the create has arrived by now.
local function release_grant(id)
  local fields = read(id, 'grant', 'profile', 'path')
  if not fields[1] then return end
  redis.call('HDEL', record_key(id), 'grant')
  local free = expire_in_windows_after(fields[1], fields[2], fields[3], now)
  if free then schedule_admission(fields[2], free) end
end

local function free_slot(id, profile, path)
  redis.call('HDEL', record_key(id), 'slot')
  count_slot(profile, path, -1)
  schedule_admission(profile, now)
end

-- A probe that is not sent proves nothing: another one may be sent.
local function release_probe(id, profile)
  local gate = P .. 'gate:' .. profile
  if redis.call('HGET', gate, 'prober') ~= id then return end
  redis.call('HDEL', gate, 'probe', 'prober')
  schedule_admission(profile, now)
end

-- It stops waiting: remove it from its queue, and release its reservation unless it submits now.
local function leave_wait_queue(id, fields, new_state)
  local batch, profile, group, grant, path = fields[3] or '', fields[4], fields[6], fields[7], fields[8]
  if group then remove_from_queue(id, profile, group, batch) end
  if new_state == 'submitting' or new_state == 'generating' then return end
  release_probe(id, profile)
  if grant then
    redis.call('HDEL', record_key(id), 'grant')
    remove_from_windows(grant, profile, path)
    schedule_admission(profile, now)
  end
  if new_state ~= 'waiting' then refund_day_budget(id) end
end

-- Every change of a state goes through here, so that counts and slots agree with the records.
local function set_state(id, new_state, new_status)
  local old = read(id, 'state', 'status', 'batch', 'profile', 'slot', 'group', 'grant', 'path')
  local old_state, old_bucket = old[1], nil
  if old_state == 'tombstone' then old_state = nil end
  if old_state then old_bucket = bucket(old_state, old[2]) end
  tally(old[3], old_bucket, bucket(new_state, new_status or old[2]))
  if old_state ~= new_state then count_state(old[8], old_state, new_state) end
  write(id, 'state', new_state)
  if new_status then write(id, 'status', new_status) end
  if not old[4] then return end
  if old[5] and (new_state == 'waiting' or not is_under_way(new_state)) then
    free_slot(id, old[4], old[5])
  end
  if old_state == 'waiting' then leave_wait_queue(id, old, new_state) end
end

-- Store the outcome, and return the signature to publish.
local function settle(id, status, outcome)
  local fields = read(id, 'path', 'started')
  metric(1, 'outcomes', fields[1] or '', status)
  if fields[2] and (status == 'succeeded' or status == 'failed') then
    observe_generation(fields[1] or '', now - tonumber(fields[2]))
  end
  set_state(id, 'settled', status)
  redis.call('HDEL', record_key(id), 'claim')
  write(id, 'finished', time_text(now), 'wakes', 1)
  if outcome and outcome ~= '' then redis.call('SET', outcome_key(id), outcome) end
  due(id, now + WAKE_RETRY_SECONDS)
  return redis.call('GET', parked_key(id))
end

-- The time by which a poll message is needed because a waiting submission may leave, or ''.
local function poll_by() return admission_at and time_text(math.max(admission_at, now)) or '' end

-- The same after a wake outside of a sweep: a message is also needed to repeat the wake if it is lost.
local function poll_by_after_wake()
  local retry_at = now + WAKE_RETRY_SECONDS
  return time_text(math.max(math.min(admission_at or retry_at, retry_at), now))
end
