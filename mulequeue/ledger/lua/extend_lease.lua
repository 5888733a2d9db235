-- Restart the lease of a submission whose input took long to read: its create is not sent yet.
-- Answers 1, or 0 if the lease had ended and the record was settled.

local record, from = record_of(args.task_id), now + args.lease
if record.state ~= 'submitting' or record.run ~= args.run then return 0 end
due(args.task_id, from)
if record.grant then expire_in_windows_after(record.grant, record.profile, record.path, from) end
return 1
