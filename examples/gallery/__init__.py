"""A gallery for two hosts: what the Flask and the Django example have in common.

``templates`` and ``static`` are the pages, ``fields`` checks what was typed, ``album`` knows what is
shown of a batch, ``fleet`` starts everything that a page alone does not have.
"""
