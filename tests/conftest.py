"""How hard hypothesis looks: as usual in `make test`; `--hypothesis-profile=long` for a night."""

from hypothesis import settings

settings.register_profile("usual", deadline=None)
settings.register_profile("long", deadline=None, max_examples=5_000)
settings.load_profile("usual")
