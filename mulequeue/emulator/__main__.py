"""Run the emulator: ``python -m mulequeue.emulator``."""

from mulequeue.emulator.command import emulator_command

if __name__ == "__main__":
    emulator_command(prog_name="mulequeue emulator")
