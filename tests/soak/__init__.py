"""A fleet under random troubles, judged from outside: ``make soak SEED=1 MINUTES=10``."""
