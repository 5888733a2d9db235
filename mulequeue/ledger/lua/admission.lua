-- Decide whether a submission may be sent now: by the limits and pauses of its profile, then of its model.
-- P .. 'pauses'                  hash    for the exporter: gate:<profile> or pollgate:<profile> -> time the
--                                        pause ends, held:<profile> -> time it was paused by hand
-- P .. 'scopes'                  zset    '<profile><tab><scope>' by the time the pause of the scope ends
-- P .. 'gate:<profile>'          hash
--   slots   generations in flight             slots:<path>  the same of one model
--   held    time it was paused by hand        turn          number of submissions granted
--   key_limit  the value of key_in_flight at which fair keys were last set aside
--   bounced   time until which nothing is granted, because workers that cannot submit returned grants
--   bounces   how often grants were returned in a row
--   able      time a worker that can submit was last seen after such returns   and the fields of a pause:
-- P .. 'gate:<profile>:<scope>'  hash    scope: '<path>' of a model, 'key <fingerprint>' or 'worker <node>'
--   until   time the pause ends               level         refusals in a row
--   probe   time a probe ends at the latest   prober        task id of the probe
--   ramp    time submissions began to ramp up            used  submissions granted since
--   reason  text                              unknowns      creates in a row with an unknown result
--   refused   since the last accepted create: of a profile the model, of a model the task that was refused
--   accepted  of a model: time of the last accepted create
-- The calling worker passes the limits (types.py): { own = {…}, models = { path = {…} } }, each with
--   in_flight, rates = { [seconds] = most }, day, batch; a missing value means no limit. `own` also has
--   key_in_flight and key_usd_day, of each fair key.

local PROBE_SECONDS = 20          -- seconds after which a probe without an answer blocks no other
local RAMP_SECONDS = 10
local MOST_UNKNOWN = 3            -- creates in a row with an unknown result: each may be billed and lost
local BOUNCE_CEILING = 10
local ABLE_SECONDS, ABLE_CEILING = 300, 1 -- seconds after `able` in which grants are at most 1 s apart
local MIXED_SECONDS = 30          -- seconds after a bounce in which few submissions are granted at once
local SCOPE_KEPT = 24 * 3600
local SCOPES = P .. 'scopes'

local function read_gate(key)
  return fields_at(key, 'level', 'until', 'probe', 'ramp', 'used', 'held', 'slots', 'bounces')
end

-- Return the time until which a gate is paused, by hand or after a refusal, or nil. `gate`: if it was read
local function paused_until(key, gate)
  gate = gate or read_gate(key)
  if gate.held then return now + RECHECK_SECONDS end
  local at = tonumber(gate['until'] or 0)
  return now < at and at or nil
end

-- Return the time until which a gate is closed, or nil and what the next submission counts as. After a
-- pause one probe is sent, then submissions ramp up.
local function closed_until(key, gate)
  gate = gate or read_gate(key)
  if not gate.level then return nil end
  local paused, probe, ramp = paused_until(key, gate), tonumber(gate.probe or 0), tonumber(gate.ramp)
  if paused then return paused end
  if not ramp then
    if now < probe then return probe end
    return nil, 'probe'
  end
  local elapsed = now - ramp
  if elapsed >= RAMP_SECONDS then
    redis.call('HDEL', key, 'until', 'level', 'probe', 'prober', 'ramp', 'used', 'reason')
    return nil
  end
  -- 2 in the first second, then doubling: 2, 4, 8, … 1024
  if tonumber(gate.used or 0) >= 2 ^ (math.floor(elapsed) + 2) - 2 then return now + 0.5 end
  return nil, 'ramp'
end

local function pass_gate(key, id, counts_as)
  if counts_as == 'probe' then redis.call('HSET', key, 'probe', time_text(now + PROBE_SECONDS), 'prober', id) end
  if counts_as == 'ramp' then redis.call('HINCRBY', key, 'used', 1) end
end

-- With no slot taken, delete slots and reservations that an older version did not release.
local function reset_idle_profile(profile)
  drop_reserved(profile)
  if redis.call('DEL', keys_key(profile)) == 1 then restore_all(profile) end
  for _, field in ipairs(redis.call('HKEYS', gate_key(profile))) do
    if string.sub(field, 1, 6) == 'slots:' then redis.call('HDEL', gate_key(profile), field) end
  end
end

-- Return the time until which a profile (`path`: nil) or a model of it is blocked by its pause and its limits, or nil and
-- what the next submission counts as.
local function blocked_until(profile, path, limits, gate)
  if path == '' then return nil end
  local key = gate_key(profile, path)
  gate = gate or read_gate(key)
  local paused = paused_until(key, gate)
  if paused then return paused end
  if limits then
    local slots = tonumber(path and redis.call('HGET', gate_key(profile), 'slots:' .. path) or gate.slots or 0)
    if slots <= 0 and path then drop_reserved(profile, path) end
    if slots <= 0 and not path then reset_idle_profile(profile) end
    if limits.in_flight and slots >= limits.in_flight then return now + RECHECK_SECONDS end
    local full = rates_full_until(profile, path, limits.rates)
    if full then return math.min(full, now + RECHECK_SECONDS) end
  end
  return closed_until(key, gate)
end

-- Return whether a fair key (its name in a rotation; '': none) has as many generations in flight as it may have.
local function is_key_full(profile, key, own)
  if key == '' or not own.key_in_flight then return false end
  return tonumber(redis.call('HGET', keys_key(profile), string.sub(key, 2)) or 0) >= own.key_in_flight
end

-- A model that is paused, or has own limits, has separate queues.
local function group_of(profile, path, has_limits)
  if path == '' then return '' end
  return (has_limits or redis.call('HEXISTS', gate_key(profile, path), 'level') == 1) and path or ''
end

local function occupy_slot(id, path)
  if record_of(id).slot then return end
  write(id, 'slot', path)
  count_slot(record_of(id), path, 1)
end

-- Reserve everything that a submission needs. `turn`: its number, if it has waited.
local function reserve(id, profile, path, limits, counts_as, model_counts_as, turn)
  occupy_slot(id, path)
  local model = limits.models[path]
  if limits.own.rates or (model and model.rates) then
    turn = turn or redis.call('HINCRBY', gate_key(profile), 'turn', 1)
    write(id, 'grant', turn)
    add_to_windows(turn, profile, nil, limits.own.rates)
    add_to_windows(turn, profile, path, model and model.rates)
  end
  pass_gate(gate_key(profile), id, counts_as)
  pass_gate(gate_key(profile, path), id, model_counts_as)
end

-- Refused creates pause the gate. Refusals during a pause count as one.
-- `how`: reason, first and ceiling (seconds), and `seconds` if the API asked for a time
local function pause(key, how)
  local gate = fields_at(key, 'until', 'level')
  local level, at = tonumber(gate.level or 0), tonumber(gate['until'] or 0)
  if now >= at then
    level = level + 1
    redis.call('HSET', key, 'level', level)
  end
  local wait = how.seconds or math.min(how.ceiling, how.first * 2 ^ math.min(math.max(level, 1) - 1, 20))
  at = math.max(at, now + wait)
  redis.call('HSET', key, 'until', time_text(at), 'reason', how.reason)
  redis.call('HDEL', key, 'probe', 'prober', 'ramp', 'used')
  return at
end

-- List the pause of a scope, for display.
local function list_scope(profile, scope, at, reason)
  local key = gate_key(profile, scope)
  redis.call('HSET', key, 'reason', reason)
  redis.call('EXPIRE', key, SCOPE_KEPT)
  redis.call('ZADD', SCOPES, time_text(at), profile .. '\t' .. scope)
  redis.call('ZREMRANGEBYSCORE', SCOPES, '-inf', time_text(now - SCOPE_KEPT))
end

-- Pause the submissions of a scope; '': of the whole profile. Return the time until which they are paused.
local function pause_submissions(profile, scope, how)
  local at = pause(gate_key(profile, scope), how)
  if scope ~= '' then
    list_scope(profile, scope, at, how.reason)
  else
    redis.call('HSET', P .. 'pauses', 'gate:' .. profile, time_text(at))
  end
  return at
end

-- The API accepted a create, or rejected it for its content: submissions may ramp up again.
-- An answer during the pause belongs to a create that was sent before it, so it proves nothing.
local function begin_ramp(key)
  local gate = fields_at(key, 'level', 'ramp', 'until')
  if not gate.level or gate.ramp or now < tonumber(gate['until'] or 0) then return false end
  redis.call('HSET', key, 'ramp', time_text(now), 'used', 0)
  redis.call('HDEL', key, 'probe', 'prober')
  return true
end

-- `is_accepted`: the API created the generation, so that no quota was exhausted.
local function note_answer(record, is_accepted)
  local profile, path = record.profile, record.path or ''
  local begins, keys, has_more = false, gates_of(record)
  for _, key in ipairs(keys) do
    begins = begin_ramp(key) or begins
    redis.call('HDEL', key, 'unknowns', unpack(is_accepted and { 'refused' } or {}))
  end
  local model = gate_key(profile, path)
  if is_accepted and path ~= '' and has_more and redis.call('EXISTS', model) == 1 then
    redis.call('HSET', model, 'accepted', time_text(now))
  end
  if begins then schedule_admission(profile, now) end
end

-- A create with an unknown result may be billed, so a few in a row pause submissions: those of the model if
-- all of them belong to it. A probe with an unknown result has failed.
local function note_unknown(id, reason)
  local profile, path = record_of(id).profile, record_of(id).path or ''
  local own = path ~= '' and redis.call('HINCRBY', gate_key(profile, path), 'unknowns', 1)
  local all = redis.call('HINCRBY', gate_key(profile), 'unknowns', 1)
  if own then redis.call('EXPIRE', gate_key(profile, path), SCOPE_KEPT) end
  local is_probe, how = false, { reason = reason, first = 2, ceiling = 60 }
  for _, scope in ipairs({ '', path }) do
    if redis.call('HGET', gate_key(profile, scope), 'prober') == id then
      is_probe = true
      pause_submissions(profile, scope, how)
    end
  end
  if is_probe or all < MOST_UNKNOWN then return end
  pause_submissions(profile, own and own >= all and path or '', how)
end

-- A worker that cannot submit returned a grant. Grant again soon, then less and less often, until a worker that
-- can submit appears. The interval varies by half: a Redis broker serves the worker that waits longest, which
-- at a fixed interval can be the same one each time.
-- `opens`: when the worker that returned the grant can submit, or nil. Return the time of the next grant.
local function bounce(profile, opens)
  local gate = fields_at(gate_key(profile), 'bounced', 'bounces', 'able')
  local at, bounces = tonumber(gate.bounced or 0), tonumber(gate.bounces or 0)
  local ceiling = now < tonumber(gate.able or 0) + ABLE_SECONDS and ABLE_CEILING or BOUNCE_CEILING
  if now >= at then
    at = now + math.min(ceiling, 0.1 * 2 ^ math.min(bounces, 10)) * (0.5 + random_part(time_text(now)) / 2)
    redis.call('HSET', gate_key(profile), 'bounces', bounces + 1)
  end
  at = math.max(now, math.min(at, opens or at))
  redis.call('HSET', gate_key(profile), 'bounced', time_text(at))
  return at
end

-- A worker that can submit has appeared.
local function end_bounces(profile)
  if redis.call('HDEL', gate_key(profile), 'bounces') == 0 then return end
  redis.call('HSET', gate_key(profile), 'bounced', time_text(now), 'able', time_text(now))
  schedule_admission(profile, now)
end

-- Return why submissions wait, as a sentence.
local function waiting_reason(profile, path, fair_key)
  if redis.call('HEXISTS', gate_key(profile), 'held') == 1 then return 'An operator has paused submissions' end
  local scopes = { '', path }
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', SCOPES, time_text(now - RECHECK_SECONDS), '+inf')) do
    local scope = string.match(member, '\t(.* .*)$')
    if scope and member == profile .. '\t' .. scope then scopes[#scopes + 1] = scope end
  end
  for _, scope in ipairs(scopes) do
    local reason = redis.call('HGET', gate_key(profile, scope), 'reason')
    if reason then return reason end
  end
  for _, group in ipairs(fair_key and { '', path } or {}) do
    if redis.call('ZSCORE', full_key(profile, group), turn_of(fair_key)) then
      return 'max_in_flight_per_fair_key is reached for ' .. fair_key
    end
  end
  return 'The limits of its profile or model are reached'
end

-- Return the error of a generation that expires before it was sent.
local function expired_error(id)
  local record = record_of(id)
  return cjson.encode({ error = {
    type = 'Expired', title = 'It expired before it could be submitted; nothing was sent',
    detail = waiting_reason(record.profile or '', record.path or '', record.fair_key),
  } })
end

-- Return this error if the generation has expired, or nil.
local function expiry(id)
  local expires = tonumber(record_of(id).expires)
  return expires and now >= expires and expired_error(id) or nil
end
