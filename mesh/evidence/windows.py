"""Which records an export may leave out: none that its selection demands."""

from mesh.evidence.manifests import Selection


class Window:
    """Takes, in order, whether each record of a stretch is whole; tells the first wrong absence.

    Without times everything is whole. `since` lets a beginning be left out, and `before` an end:
    records arrive in the order of the log, so there is never a hole.
    """

    def __init__(self, selection: Selection) -> None:
        self._since, self._before = selection.since is not None, selection.before is not None
        self._begun = False
        self._left_out: int | None = None

    def begins(self, after: int, until: int) -> bool:
        """Whether a stretch may begin behind that record; an empty one may with any time."""
        empty = after == until and self._before
        return after == 0 or self._since or empty

    def wrongly_left_out(self, sequence: int, *, whole: bool) -> int | None:
        """The record that should have been whole, once that is certain."""
        if whole:
            if self._left_out is not None and (self._begun or not self._since):
                return self._left_out
            self._begun, self._left_out = True, None
            return None
        if self._left_out is None:
            self._left_out = sequence
        allowed = self._before or (self._since and not self._begun)
        return None if allowed else self._left_out
