"""The handling of one message: create, park, return the outcome."""
