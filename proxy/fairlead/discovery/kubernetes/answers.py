"""What the API answers when it does not give what was asked for, in words that say what to do. Pure.

The text of an error stays the same while its reason does: it is told when it changes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final, final

_USER: Final = re.compile(r'User "([^"]+)"')
_LONGEST: Final = 300  # characters of a message that are shown: a proxy may answer with a whole page
_MOST_RETRY_S: Final = 60.0

OK: Final = 200
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
CONFLICT: Final = 409
GONE: Final = 410
TOO_MANY: Final = 429
UNREACHED: Final = 0
NONSENSE: Final = -1
TOO_SHORT: Final = -2


@final
@dataclass(frozen=True, slots=True)
class What:
    """What is asked for, in words; `namespace` is "" for what is in none."""

    resource: str
    group: str
    namespace: str
    verbs: str = "list, watch"


@final
class ApiError(Exception):
    """`status` is that of HTTP or of an ERROR event; UNREACHED without an answer, NONSENSE for what is none,
    TOO_SHORT for a watch that ended before it could be one.
    """

    def __init__(self, problem: str, status: int = UNREACHED, retry_after_s: float = 0.0) -> None:
        super().__init__(problem)
        self.status = status
        self.retry_after_s = retry_after_s


@final
class Silence(Exception):
    """A watch on which neither an event nor a bookmark came for too long: nobody may be there any more."""


def refusal(status: int, body: str, retry_after: str, what: What) -> ApiError:
    """The error that an answer is."""
    message = _message(body)
    if status == UNAUTHORIZED:
        text = "the Kubernetes API does not know who we are (401): the token or certificate is not, or no more, valid"
    elif status == FORBIDDEN:
        text = _missing(message, what)
    else:
        text = f"the Kubernetes API answers {status} for {what.resource}: {message}"
    return ApiError(text, status, _retry_after_s(retry_after))


def error_event(raw: Any) -> ApiError:  # noqa: ANN401 (it is whatever stands in an ERROR event)
    """The error that an ERROR event of a watch carries."""
    status = raw if isinstance(raw, dict) else {}
    code = status.get("code")
    message = str(status.get("message", "without a reason"))[:_LONGEST]
    return ApiError(f"the Kubernetes API ends a watch: {message}", code if isinstance(code, int) else 500)


def _missing(message: str, what: What) -> str:
    """The rule that is missing, as it has to be written."""
    user = _USER.search(message)
    who = user[1] if user else "the user of this proxy"
    kind, where = ("Role", f" in namespace {what.namespace}") if what.namespace else ("ClusterRole", "")
    return (
        f"{who} may not {what.verbs.replace(', ', ' and ')} {what.resource}{where} (403); add to its {kind}:\n"
        f'- apiGroups: ["{what.group}"]\n'
        f'  resources: ["{what.resource}"]\n'
        f"  verbs: [{what.verbs}]"
    )


def _message(body: str) -> str:
    """What a Status says; of anything else its beginning."""
    try:
        status = json.loads(body)
    except ValueError:
        status = None
    message = status.get("message") if isinstance(status, dict) else None
    text = " ".join(str(message if message is not None else body).split())
    return text[:_LONGEST] or "without a word"


def _retry_after_s(text: str) -> float:
    return min(float(text), _MOST_RETRY_S) if text.isascii() and text.isdecimal() and len(text) < 10 else 0.0
