"""Command `segnet doctor`: the machine, and what SegNet uses of it."""

from segnet.cli.console import say


def doctor() -> None:
    """Describe this machine and the device and precision that SegNet uses on it."""
    from segnet.device import choose_device
    from segnet.machine import machine_facts

    for name, value in {**machine_facts(), "Runs on": str(choose_device())}.items():
        say(f"{name:>12}  {value}")
