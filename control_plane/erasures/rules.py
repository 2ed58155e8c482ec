"""What an erasure needs to be asked for."""

import re

from mesh.errors import ErasureOpen, RequestInvalid

MAX_REASON = 500
_PRINCIPAL = re.compile(r"(user|service):\S{1,190}")


def check_request(principal: str, reason: str) -> None:
    """Refuse what names nobody, and a reason that is missing or says who. Raises RequestInvalid."""
    if _PRINCIPAL.fullmatch(principal) is None:
        raise RequestInvalid(
            "principal is `user:<name>` or `service:<name>`, as `mesh audit list` shows it",
            field="principal",
        )
    if not 0 < len(reason) <= MAX_REASON or not reason.isprintable():
        raise RequestInvalid(
            f"reason is a line of 1 to {MAX_REASON} characters, such as a request's number",
            field="reason",
        )
    if principal.partition(":")[2].casefold() in reason.casefold():
        raise RequestInvalid(
            "the reason stays, so it must not name who is erased; give a request's number",
            field="reason",
        )


def check_closed(principal: str, agreements: int) -> None:
    """Refuse while the principal still may read. Raises ErasureOpen."""
    if agreements:
        raise ErasureOpen(
            f"{principal} has {agreements} agreements that are requested or active; end them first"
            f" (`mesh access list --consumer {principal}`, `mesh access revoke ID`)",
            agreements=str(agreements),
        )
