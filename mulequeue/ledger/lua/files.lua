-- Record that the download of a generation has ended. `files`: JSON list; `error`: why they could not be stored, or nil
-- Answers { '', '', poll_by }, or { }: if it was the last one of a batch, the tasks that wait for the batch are due.
local id = args.task_id
local key, record = files_key(id), record_of(id)
if not record.state then return {} end -- the record has expired, and this key would never expire
local batch, before = record.batch, redis.call('GET', key)
local count = before and #cjson.decode(before) or tonumber(record.stored) -- of a packed record, the number of its files
if count and count > 0 and args.error then return {} end -- a repeated download failed: its files are there
local more = args.count - (count or 0) -- a late file comes after the end
if args.error then write(id, 'file_error', args.error) else drop(id, 'file_error') end
local ttl = redis.call('TTL', record_key(id))
redis.call('SET', key, args.files, unpack(ttl > 0 and { 'EX', ttl } or {}))
if not before then note_time(id, 'o') end
for _, name in ipairs({ P .. 'counts', batch and batch_key(batch) or nil }) do
  if more ~= 0 then redis.call('HINCRBY', name, 'files', more) end
  if not count then redis.call('HINCRBY', name, 'downloaded', 1) end
end
if batch and not count then wake_if_over(batch) end
return { '', '', batch_due and time_text(batch_due) or '' }
