"""What the worker that runs rego-cpp is asked, and answers.

A request is one byte of operation and its body; a reply is one byte of outcome and its body.
"""

from dataclasses import dataclass

LOAD = b"L"
EVALUATE = b"E"
RESULT = b"+"
UNDEFINED = b"0"
FAILED = b"-"


@dataclass(frozen=True, slots=True)
class Limits:
    """CPU seconds that one request may use.

    They bound memory too: rego-cpp's allocator reserves 256 GiB at its start and does not start
    under a limit of address space, so there is none.
    """

    load: float
    evaluate: float
