"""The few questions to the API server of the cluster that this Pod runs in: whom to trust, who may, which pods.

Owns the session and the service account's files: the token is read again for each request, because the kubelet replaces
it, the authority when it does not fit any more. Never follows a redirect and never retries: whoever asks gets
`Unavailable` with the reason, and decides.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final
from urllib.parse import quote

import aiohttp

import fairlead
from fairlead.autoscale.callers import Trust, User, trust_of
from fairlead.autoscale.pods import Pod, Unavailable
from fairlead.autoscale.requests import Attributes
from fairlead.autoscale.selector import Selector

ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TRUST: Final = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
_REVIEWS: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_LIMIT: Final = aiohttp.ClientTimeout(total=5.0)  # an autoscaler waits for the answer, and with it all its others
_LONGEST: Final = 300  # characters of a refusal that are passed on

Json = Mapping[str, Any]


@final
@dataclass(frozen=True, slots=True)
class Account:
    """Where the API server is, and the files that say who we are."""

    url: str
    token: Path
    ca: Path


def in_cluster() -> Account | None:
    """The service account of this Pod, or None outside of one."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (ACCOUNT / "token").is_file():
        return None
    shown = f"[{host}]" if ":" in host else host
    return Account(f"https://{shown}:{port}", ACCOUNT / "token", ACCOUNT / "ca.crt")


@final
class Cluster:
    """One API server. To be closed."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def trust(self) -> Trust:
        """Whom the aggregation layer is to be recognised by."""
        answer = await self._ask("GET", _TRUST, "the configmap extension-apiserver-authentication")
        try:
            return trust_of(answer.get("data") or {})
        except ValueError as error:
            raise Unavailable(f"the configmap extension-apiserver-authentication: {error}") from error

    async def allows(self, user: User, asked: Attributes) -> bool:
        """Delegated authorisation."""
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": _spec(user, asked)}
        answer = await self._ask("POST", _REVIEWS, "a SubjectAccessReview", review)
        status = answer.get("status")
        return isinstance(status, dict) and status.get("allowed") is True and status.get("denied") is not True

    async def select(self, namespace: str, selector: Selector, text: str) -> list[Pod]:
        """The pods that the selector means; those on their node's network share its address, and are left out."""
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods"
        query = {"resourceVersion": "0", **({"labelSelector": text} if text else {})}
        answer = await self._ask("GET", path, f"the pods of {namespace}", query=query)
        return [pod for raw in answer.get("items") or () if (pod := _pod(raw)) is not None]

    async def _ask(
        self, method: str, path: str, what: str, body: Json | None = None, query: Mapping[str, str] | None = None
    ) -> Json:
        try:
            session = self._opened()
            headers = {"Authorization": f"Bearer {self._account.token.read_text().strip()}"}
            async with session.request(
                method, self._account.url + path, json=body, params=query, headers=headers, allow_redirects=False
            ) as response:
                answer = await response.json(content_type=None)
                status = response.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            if isinstance(error, aiohttp.ClientSSLError):
                await self.close()  # its authority may be another now: it is read again with the next request
            raise Unavailable(f"{what} could not be had: {type(error).__name__}: {error}") from error
        if not isinstance(answer, dict) or status not in (200, 201):
            message = str(answer.get("message", "") if isinstance(answer, dict) else "")[:_LONGEST]
            raise Unavailable(f"{what} could not be had: the API server answers {status}: {message}")
        return answer

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            context = ssl.create_default_context(cafile=str(self._account.ca))
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # authorities of clusters often lack what it asks for
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context),
                timeout=_LIMIT,
                headers={"Accept": "application/json", "User-Agent": f"fairlead/{fairlead.__version__}"},
            )
        return self._session


def _spec(user: User, asked: Attributes) -> Json:
    if asked.path:
        what: Json = {"nonResourceAttributes": {"path": asked.path, "verb": asked.verb}}
    else:
        attributes = {
            "namespace": asked.namespace,
            "verb": asked.verb,
            "group": asked.group,
            "version": asked.version,
            "resource": asked.resource,
            "subresource": asked.subresource,
            "name": asked.name,
        }
        what = {"resourceAttributes": {key: value for key, value in attributes.items() if value}}
    who = {"uid": user.uid, "groups": list(user.groups), "extra": {key: list(of) for key, of in user.extra.items()}}
    return {"user": user.name, **{key: value for key, value in who.items() if value}, **what}


def _pod(raw: Json) -> Pod | None:
    """A pod with an address of its own, or None."""
    if not isinstance(raw, dict) or (raw.get("spec") or {}).get("hostNetwork"):
        return None
    status = raw.get("status") or {}
    found = [status.get("podIP"), *(each.get("ip") for each in status.get("podIPs") or ())]
    addresses = frozenset(address for address in found if address)
    name = (raw.get("metadata") or {}).get("name")
    return Pod(name, addresses) if name and addresses and status.get("phase") not in ("Succeeded", "Failed") else None
