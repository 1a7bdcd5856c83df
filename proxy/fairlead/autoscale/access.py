"""Whether a user may: what the cluster says of it, remembered for a moment.

Owns the cache and its bound. Rules that need no question: the group system:masters may everything, so that the API
server's own checks pass while it cannot be asked back; everything else is a SubjectAccessReview. Never remembers a
failure to ask.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol, final

from fairlead.autoscale.callers import User
from fairlead.autoscale.requests import Attributes

_MASTERS: Final = "system:masters"
_FRESH_S: Final = 10.0  # as long as other aggregated servers believe an answer, either way
_MOST: Final = 1024


class Authorizer(Protocol):
    """Raises `pods.Unavailable` when it cannot say."""

    async def allows(self, user: User, asked: Attributes) -> bool: ...


@final
class Everybody:
    """Every user whom the certificate vouches for."""

    async def allows(self, user: User, asked: Attributes) -> bool:
        return True


@final
class Remembered:
    """Asks another authorizer at most once in ten seconds for the same. `clock` is in seconds and never jumps."""

    def __init__(self, inner: Authorizer, clock: Callable[[], float]) -> None:
        self._inner = inner
        self._clock = clock
        self._known: OrderedDict[tuple[User, Attributes], tuple[float, bool]] = OrderedDict()

    async def allows(self, user: User, asked: Attributes) -> bool:
        if _MASTERS in user.groups:
            return True
        key = (user, asked)
        known = self._known.get(key)
        if known is not None and self._clock() - known[0] < _FRESH_S:
            return known[1]
        allowed = await self._inner.allows(user, asked)
        self._known[key] = (self._clock(), allowed)
        self._known.move_to_end(key)
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        return allowed
