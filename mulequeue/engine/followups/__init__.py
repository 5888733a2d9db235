"""Downloads and notifications that follow an outcome."""
