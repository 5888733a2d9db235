"""Writes docs/reference."""

from tools.reference import write

for name in write():
    print(f"docs/reference/{name}")
