"""AI images and videos by the thousand: MuleRouter generations as ordinary Celery tasks."""
