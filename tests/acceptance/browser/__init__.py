"""The galleries and the admin in Chromium; a package, so that its browser ends before other tests begin."""
