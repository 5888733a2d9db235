"""Benchmarks, one file per question; each starts and stops all the processes it needs.

Run them from the top of the repository: ``python -m benchmarks.in_flight``.
"""
