"""Status checks: claim, decide, reschedule, settle."""
