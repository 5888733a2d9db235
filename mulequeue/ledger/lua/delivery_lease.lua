-- Extend the lease of a delivery of the outcome, to the record's canvas or to another one.
-- ARGV[3] what   [4] task id   [5] epoch   [6] depends on what
-- Answers 1, or 0 if the delivery has ended, or another run has it.

local what, id, epoch = ARGV[3], ARGV[4], ARGV[5]
local SECONDS = {
  keep = DELIVER_LEASE,        -- [6] the run's token: Celery still publishes what follows
  dispatched = RESULT_LEASE,   -- [6] digest of what follows, which is published
  again = tonumber(ARGV[6]),   -- [6] seconds until it is delivered again: its result could not be stored
}
local record = record_of(id)
local is_first = record.epoch == epoch
local name = is_first and id or continuation_name(id, epoch)
local run = record.state == 'delivering' and record.run
if not is_first then run = redis.call('HGET', P .. name, 'run') end
if not run or (what == 'keep' and run ~= ARGV[6]) then return 0 end
if what == 'dispatched' and is_first then write(id, 'dispatched', ARGV[6]) end
if what == 'dispatched' and not is_first then redis.call('HSET', P .. name, 'dispatched', ARGV[6]) end
local ends = now + SECONDS[what]
if what ~= 'again' and is_first then write(id, 'claim_until', time_text(ends)) end
due(name, ends)
return 1
