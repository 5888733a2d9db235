"""A fleet on one machine, for the demo and for development."""
