-- Move a record whose create was not made back to waiting, and pause what the refusal concerns.
-- `scope`: a Scope (types.py), with the arguments of `pause`; nil: it was too late to send the create
-- Answers { waiting, '', poll_by }, { settled, signature, poll_by }, or { } if the record has changed.
-- Record: requeues, refusals of this generation, and refused: time of the first one

local id, what = args.task_id, args.scope
local record = record_of(id)
if record.state ~= 'submitting' or record.run ~= args.run then return {} end
local profile, path = record.profile, record.path or ''
local key_scope, worker_scope = 'key ' .. (record.key or ''), 'worker ' .. (record.node or '')

-- Return whether only this task is refused: others of its model were accepted since it was first refused, and no
-- other was refused since then.
local function is_alone(model)
  local gate = fields_at(model, 'accepted', 'refused')
  local was_accepted = record.refused and tonumber(gate.accepted or 0) > tonumber(record.refused)
  return was_accepted and (not gate.refused or gate.refused == id)
end

-- Pause the model. If another model was refused since the last accepted create, pause the profile too.
local function pause_model()
  local at = pause_submissions(profile, path, args)
  local other = redis.call('HGET', gate_key(profile), 'refused')
  if path ~= '' and other and other ~= path then
    at = math.max(at, pause_submissions(profile, '', args))
  end
  redis.call('HSET', gate_key(profile), 'refused', path)
  return at
end

-- Return the time until which the task waits by itself, outside of the queues.
local function alone_until()
  return now + math.max(args.seconds or 0, math.min(args.ceiling, args.first * 2 ^ math.min(record.refusals - 1, 20)))
end

-- Return the time of the next attempt, and whether the task waits by itself until then.
local function refuse()
  local model = gate_key(profile, path)
  local alone = is_alone(model)
  if not record.refused then write(id, 'refused', time_text(now)) end
  local at = alone and alone_until() or pause_model()
  redis.call('HSET', model, 'refused', id)
  return at, alone
end

local at, is_aside = now, false
if what == 'model' or what == 'generation' then increase(id, 'refusals') end
if what == 'generation' then
  at, is_aside = alone_until(), true
elseif what == 'worker' then
  at = bounce(profile, pause_submissions(profile, worker_scope, args))
elseif what then
  for _, key in ipairs(gates_of(record)) do redis.call('HDEL', key, 'unknowns') end
  begin_ramp(gate_key(profile, worker_scope))
  if what == 'key' then
    at = bounce(profile, pause_submissions(profile, key_scope, args))
  else
    begin_ramp(gate_key(profile, key_scope))
    at, is_aside = refuse()
  end
end
release_grant(id)
local is_cancelled, expired = record.cancel or record.cancel_unsent, expiry(id)
if is_cancelled or expired then
  refund_budgets(id)
  return { 'settled', settle(id, is_cancelled and 'cancelled' or 'failed', expired), poll_by() }
end
set_state(id, 'waiting')
increase(id, 'requeues')
note_time(id, 'w', 'R')
drop(id, 'run', 'submitted')
if is_aside then
  due_waiting(id, at)
else
  enqueue(id, profile, group_of(profile, path, args.has_limits))
  due('gate:' .. profile, at)
end
return { 'waiting', '', time_text(math.min(at, tonumber(record.expires) or at)) }
