-- What a generation came to, written once.
-- ARGV[3] task id   [4] status   [5] JSON of what the API answered, or ''
-- ARGV[6] who may: 'claim' (a status check), 'run' (the submitter), 'any' (a verified webhook)
-- ARGV[7] the token of a claim or run   [8] checks to add
-- Answers { signature to publish, look } or { } when somebody else settled it or the claim lapsed.

local id, who, token = ARGV[3], ARGV[6], ARGV[7]
local held = read(id, 'state', 'claim', 'run', 'cancel', 'profile')
local status = ARGV[4]
if who == 'claim' and not (held[1] == 'generating' and held[2] == token) then return {} end
if who == 'run' and not (held[1] == 'submitting' and held[3] == token) then return {} end
if who == 'any' and held[1] ~= 'generating' then return {} end
if ARGV[8] ~= '0' then redis.call('HINCRBY', record_key(id), 'polls', ARGV[8]) end
if who == 'run' then
  if status ~= 'submit_unknown' then -- the API refused it: nothing is paid
    reopen(held[5])
    answered(id)
    give_back_day(id)
  end
  if held[4] then status = 'cancelled' end
end
return { settle(id, status, ARGV[5]), room() }
