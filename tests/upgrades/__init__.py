"""What an earlier version left in Redis, and that this one brings it to its end."""
