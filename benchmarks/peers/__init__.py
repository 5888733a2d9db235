"""Other ways to wait for a generation, each in its usual form, one small file each.

All poll every 5 seconds; none of them parks, recovers, limits or stores anything.
"""
