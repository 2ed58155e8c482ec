"""Fields of documents that anybody can make and sign: checked before anything is done with them."""

from mesh.evidence.envelopes import decode_bytes
from mesh.evidence.merkle import HASH_BYTES
from mesh.names import is_hyphenated, is_name

MAX_LEAVES = 512
# Whatever such a document may raise when it is taken to be one of ours.
ODD = (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError)
_LARGEST = 2**53 - 1
_KEY_BYTES = 32


def text_of(value: object) -> str:
    """Text. Raises ValueError or TypeError."""
    if not isinstance(value, str):
        raise TypeError("what should be text is none")
    return value


def domain_of(value: object) -> str:
    """A domain's name. Raises ValueError or TypeError."""
    text = text_of(value)
    if not is_name(text):
        raise ValueError("no domain has such a name")
    return text


def agent_of(value: object) -> str:
    """An agent's name. Raises ValueError or TypeError."""
    text = text_of(value)
    if not is_hyphenated(text):
        raise ValueError("no agent has such a name")
    return text


def key_of(value: object) -> bytes:
    """A public key. Raises ValueError or TypeError."""
    key = decode_bytes(value)
    if len(key) != _KEY_BYTES:
        raise ValueError(f"a key has {_KEY_BYTES} bytes")
    return key


def number_of(value: object) -> int:
    """A sequence. Raises ValueError or TypeError."""
    # True is an integer to Python, and a large one takes as long as it is.
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise ValueError("sequences are integers from 0 to 2^53 - 1")
    return value


def hashes_of(packed: bytes) -> tuple[bytes, ...]:
    """The hashes of one piece. Raises ValueError or TypeError."""
    if not packed or len(packed) % HASH_BYTES:
        raise ValueError(f"hashes have {HASH_BYTES} bytes each")
    if len(packed) > MAX_LEAVES * HASH_BYTES:
        raise ValueError(f"more than {MAX_LEAVES} hashes are in one piece")
    starts = range(0, len(packed), HASH_BYTES)
    return tuple(packed[at : at + HASH_BYTES] for at in starts)


def numbers_of(runs: object, first: int, last: int) -> tuple[int, ...]:
    """The numbers of runs that ascend within first, ..., last. Raises ValueError or TypeError."""
    if not isinstance(runs, list):
        raise TypeError("whole is a list of runs")
    numbers: list[int] = []
    for start, stop in runs:
        least = numbers[-1] + 1 if numbers else first
        if not least <= number_of(start) <= number_of(stop) <= last:
            raise ValueError("a run of whole records is not among the hashes, or not in order")
        numbers += range(start, stop + 1)
    return tuple(numbers)


def in_short(error: BaseException) -> str:
    """What went wrong, however much of the document it cites."""
    return str(error)[:200]
