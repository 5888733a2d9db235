"""Programs for those who work on mulequeue; nothing of it is installed."""
