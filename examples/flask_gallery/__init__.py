"""The gallery in Flask."""
