-- Open a batch, or record how many of its members have been published.
-- ARGV[3] open | sent   [4] batch id   [5] number of members   [6] digest of the inputs, or '1': these are all
-- ARGV[7] '1' if its members are downloaded, else ''   [8] time at which it expires, or ''
-- Answers { opened | published | stopped | other, size of the batch }; other: it was made from other inputs.

local key, size, digest = batch_key(ARGV[4]), ARGV[5], ARGV[6]
if ARGV[3] == 'sent' then
  redis.call('HSET', key, 'sent', size)
  if ARGV[6] ~= '' then redis.call('HSET', key, 'published', 1) end
  return { 'published', size }
end
local known = fields_at(key, 'size', 'digest', 'published', 'stopped')
if known.size and (known.size ~= size or (known.digest or digest) ~= digest) then return { 'other', known.size } end
if not known.size then
  redis.call('HSET', key, 'size', size, 'created', time_text(now))
  if ARGV[8] ~= '' then redis.call('HSET', key, 'expires', ARGV[8]) end
end
redis.call('HSET', key, 'digest', digest)
if ARGV[7] ~= '' and not known.published then redis.call('HSET', key, 'downloads', 1) end
return { known.stopped and 'stopped' or known.published and 'published' or 'opened', size }
