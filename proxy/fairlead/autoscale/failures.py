"""Errors as an API server tells them: Status objects with the code, reason and words that clients know. Pure."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final, final

from fairlead.autoscale.requests import Attributes

_REASONS: Final = {
    HTTPStatus.BAD_REQUEST: "BadRequest",
    HTTPStatus.UNAUTHORIZED: "Unauthorized",
    HTTPStatus.FORBIDDEN: "Forbidden",
    HTTPStatus.NOT_FOUND: "NotFound",
    HTTPStatus.METHOD_NOT_ALLOWED: "MethodNotAllowed",
    HTTPStatus.NOT_ACCEPTABLE: "NotAcceptable",
    HTTPStatus.INTERNAL_SERVER_ERROR: "InternalError",
    HTTPStatus.SERVICE_UNAVAILABLE: "ServiceUnavailable",
}


@final
class Failure(Exception):
    """An answer that is an error."""

    def __init__(self, status: HTTPStatus, message: str, details: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = details

    def document(self) -> dict[str, Any]:
        """The Status object."""
        details = {} if self.details is None else {"details": self.details}
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": _REASONS[self.status],
            **details,
            "code": self.status.value,
        }


def unauthorized() -> Failure:
    return Failure(HTTPStatus.UNAUTHORIZED, "Unauthorized")


def not_allowed() -> Failure:
    return Failure(HTTPStatus.METHOD_NOT_ALLOWED, "the server does not allow this method on the requested resource", {})


def not_acceptable() -> Failure:
    return Failure(HTTPStatus.NOT_ACCEPTABLE, "406: Not Acceptable\n\nAvailable representations: application/json", {})


def bad_request(message: str) -> Failure:
    return Failure(HTTPStatus.BAD_REQUEST, message)


def internal(message: str) -> Failure:
    return Failure(HTTPStatus.INTERNAL_SERVER_ERROR, f"Internal error occurred: {message}")


def unavailable(message: str) -> Failure:
    """Without Retry-After: with it an autoscaler would ask again every second, and hold up all others meanwhile."""
    return Failure(HTTPStatus.SERVICE_UNAVAILABLE, message)


def not_found(message: str = "the server could not find the requested resource") -> Failure:
    return Failure(HTTPStatus.NOT_FOUND, message, {})


def forbidden(user: str, asked: Attributes) -> Failure:
    """The same words for the same request as an API server has."""
    if asked.path:
        return Failure(HTTPStatus.FORBIDDEN, f'forbidden: User "{user}" cannot {asked.verb} path "{asked.path}"', {})
    what = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    named = f' "{asked.name}"' if asked.name else ""
    details = {"name": asked.name} if asked.name else {}
    return Failure(
        HTTPStatus.FORBIDDEN,
        f'{asked.resource}.{asked.group}{named} is forbidden: User "{user}" cannot {asked.verb} resource "{what}" '
        f'in API group "{asked.group}" in the namespace "{asked.namespace}"',
        {**details, "group": asked.group, "kind": asked.resource},
    )
