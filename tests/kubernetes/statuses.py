"""The errors of an API server, in its own words: each is a Status with its code, and some have fields of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping

from kubernetes.resources import Json, Resource


class Failure(Exception):
    """An answer that is an error."""

    def __init__(
        self, status: int, message: str, reason: str = "", details: Json | None = None, *, retry_after: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.fields = {"X-Content-Type-Options": "nosniff"} if status == 403 else {}
        if retry_after:
            self.fields["Retry-After"] = retry_after
        self.body = status_body(status, message, reason, details)


def status_body(status: int, message: str, reason: str = "", details: Json | None = None) -> Json:
    body: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    if reason:
        body["reason"] = reason
    if details is not None:
        body["details"] = details
    return {**body, "code": status}


def unauthorized() -> Failure:
    return Failure(401, "Unauthorized", "Unauthorized")


def forbidden(user: str, verb: str, resource: Resource, namespace: str, name: str) -> Failure:
    what = f'{resource.full_name} "{name}"' if name else resource.full_name
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    asked = f'cannot {verb} resource "{resource.name}" in API group "{resource.group}" {where}'
    details = {**({"name": name} if name else {}), **resource.details, "kind": resource.name}
    return Failure(403, f'{what} is forbidden: User "{user}" {asked}', "Forbidden", details)


def forbidden_path(user: str, path: str) -> Failure:
    return Failure(403, f'forbidden: User "{user}" cannot get path "{path}"', "Forbidden", {})


def not_found(resource: Resource, name: str) -> Failure:
    details = {"name": name, **resource.details, "kind": resource.name}
    return Failure(404, f'{resource.full_name} "{name}" not found', "NotFound", details)


def conflict(resource: Resource, name: str) -> Failure:
    text = (
        f'Operation cannot be fulfilled on {resource.full_name} "{name}": the object has been modified; please apply '
        "your changes to the latest version and try again"
    )
    return Failure(409, text, "Conflict", {"name": name, **resource.details, "kind": resource.name})


def no_resource() -> Failure:
    return Failure(404, "the server could not find the requested resource", "NotFound", {})


def not_allowed() -> Failure:
    return Failure(405, "the server does not allow this method on the requested resource", "MethodNotAllowed", {})


def not_acceptable() -> Failure:
    known = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"]
    streams = ["application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"]
    text = f"406: Not Acceptable\n\nAvailable representations: {', '.join([*known, *streams])}"
    return Failure(406, text, "NotAcceptable", {})


def too_large(asked: int, version: int) -> Failure:
    text = f"Timeout: Too large resource version: {asked}, current: {version}"
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return Failure(504, text, "Timeout", {"causes": causes, "retryAfterSeconds": 1}, retry_after="1")


def too_old(version: int, floor: int) -> Json:
    return status_body(410, f"too old resource version: {version} ({floor})", "Expired")


def too_old_exact() -> Failure:
    return Failure(410, "The resourceVersion for the provided list is too old.", "Expired")


def expired_continue(token: str) -> Failure:
    text = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
    failure = Failure(410, text, "Expired")
    failure.body["metadata"] = {"continue": token}
    return failure


def bad_continue() -> Failure:
    return Failure(400, "invalid continue token: continue key is not valid", "BadRequest")


def check_list(query: Mapping[str, str]) -> None:
    """Raises Failure for parameters that a list may not have."""
    version = query.get("resourceVersion", "")
    wrong = []
    if query.get("resourceVersionMatch") and not version:
        wrong.append(("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"))
    if "sendInitialEvents" in query:
        wrong.append(("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if wrong:
        raise _invalid_options(wrong)
    _check_numbers(query)
    if version and not version.isdecimal():
        raise Failure(400, f"invalid resource version: {_no_version(version)}", "BadRequest")
    if query.get("continue") and version not in ("", "0"):
        raise Failure(400, "specifying resource version is not allowed when using continue", "BadRequest")


def check_watch(query: Mapping[str, str]) -> None:
    """Raises Failure for parameters that a watch may not have."""
    version = query.get("resourceVersion", "")
    name = "resourceVersionMatch"
    if "sendInitialEvents" in query and name not in query:
        raise _invalid_options([(name, f"sendInitialEvents requires setting {name} to NotOlderThan")])
    if name in query and "sendInitialEvents" not in query:
        raise _invalid_options([(name, f"{name} is forbidden for watch unless sendInitialEvents is provided")])
    _check_numbers(query)
    if version and not version.isdecimal():
        raise Failure(500, _no_version(version))


def _check_numbers(query: Mapping[str, str]) -> None:
    for name in ("limit", "timeoutSeconds"):
        text = query.get(name, "0")
        if not text.removeprefix("-").isdecimal():
            raise Failure(400, f"strconv.ParseInt: parsing {json.dumps(text)}: invalid syntax", "BadRequest")


def _no_version(text: str) -> str:
    quoted = json.dumps(text)
    return f"resourceVersion: Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: invalid syntax"


def _invalid_options(wrong: list[tuple[str, str]]) -> Failure:
    causes = [{"reason": "FieldValueForbidden", "message": f"Forbidden: {text}", "field": name} for name, text in wrong]
    listed = ", ".join(f"{cause['field']}: {cause['message']}" for cause in causes)
    text = f"[{listed}]" if len(wrong) > 1 else listed
    details = {"group": "meta.k8s.io", "kind": "ListOptions", "causes": causes}
    return Failure(422, f'ListOptions.meta.k8s.io "" is invalid: {text}', "Invalid", details)
