"""What all tests share: how hard hypothesis looks, and that interrupts reach child processes."""

import signal

from hypothesis import settings

pytest_plugins = ["tests.broker", "tests.postgres"]

# `--hypothesis-profile=long` is for a night.
settings.register_profile("usual", deadline=None)
settings.register_profile("long", deadline=None, max_examples=5_000)
settings.load_profile("usual")

# Shells start background jobs with interrupts ignored, and children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
