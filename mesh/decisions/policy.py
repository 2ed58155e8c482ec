"""A policy: Rego modules by path, named by their digest."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Policy:
    """Modules by path, such as `library/access.rego`."""

    modules: Mapping[str, str]

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over path and text of every module by path, each after its length."""
        hashed = hashlib.sha256()
        for path in sorted(self.modules):
            for text in (path.encode(), self.modules[path].encode()):
                hashed.update(len(text).to_bytes(8, "big"))
                hashed.update(text)
        return hashed.hexdigest()
