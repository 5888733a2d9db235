"""Options of Flower for the Procfile and compose.yaml. Its login is FLOWER_BASIC_AUTH=user:password."""

from mulequeue.ops.flower import *  # noqa: F403
