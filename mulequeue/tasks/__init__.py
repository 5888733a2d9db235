"""Everything that Celery touches: tasks, canvases and worker steps."""
