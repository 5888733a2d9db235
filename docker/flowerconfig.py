"""Options of Flower for the Procfile and compose.yaml.

Its login is FLOWER_BASIC_AUTH=user:password, or the content of the file that FLOWER_BASIC_AUTH_FILE names.
"""

from mulequeue.ops.flower import *  # noqa: F403
from mulequeue.settings.environment import read_variable as _read_variable

if _login := _read_variable("FLOWER_BASIC_AUTH"):
    basic_auth = _login.split(",")
