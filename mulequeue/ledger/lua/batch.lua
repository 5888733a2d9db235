-- Open a batch. `downloads`: its members are downloaded; `expires`: the time at which it does, if any.
-- Answers { opened | published | stopped | other, size of the batch }; other: it was made from other inputs.

local key, size, digest = batch_key(args.batch_id), args.size, args.digest
local known = fields_at(key, 'size', 'digest', 'published', 'stopped')
if known.size and (known.size ~= size or (known.digest or digest) ~= digest) then return { 'other', known.size } end
if not known.size then
  redis.call('HSET', key, 'size', size, 'created', time_text(now))
  if args.expires then redis.call('HSET', key, 'expires', args.expires) end
end
redis.call('HSET', key, 'digest', digest)
if args.downloads and not known.published then redis.call('HSET', key, 'downloads', 1) end
return { known.stopped and 'stopped' or known.published and 'published' or 'opened', size }
