"""The tasks that follow an outcome: ``download``, ``notify`` and ``each``, and the outbox for messages."""
