"""The common parts of the Flask and the Django example.

``templates`` and ``static`` are the pages, ``fields`` validates the form, ``album`` enqueues an album
and reads its progress, ``cards`` shows it, ``actions`` is what its buttons do, ``fleet`` starts all processes besides the web server.
"""
