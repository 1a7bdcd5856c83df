"""Where the API is, and who we are there: a Pod's service account, or a context of a kubeconfig.

kubernetes_asyncio does the reading: it knows tokens, certificates, exec plugins and OIDC. It is imported here and only
when a source needs it, since that costs 0.3 s and 40 MB. Never asks the API, never writes a file of the user's.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from fairlead.discovery.kubernetes.answers import ApiError

if TYPE_CHECKING:
    from kubernetes_asyncio.client.configuration import Configuration

_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_USERS: Final = "~/.kube/config"


@final
@dataclass(frozen=True, slots=True)
class Access:
    """What is configured of it: "" is what the environment says, and a kubeconfig's own context."""

    kubeconfig: str = ""
    context: str = ""


@final
class Login:
    """The result: an address and what a request carries. `headers` are asked for each time: a token is replaced."""

    def __init__(self, configuration: Configuration, text: str) -> None:
        self._configuration = configuration
        self.text = text  # where it came from
        self.host: str = (configuration.host or "").rstrip("/")
        self.server_name: str | None = configuration.tls_server_name
        self.proxy: str | None = configuration.proxy

    async def headers(self) -> dict[str, str]:
        """Those that say who we are. A service account's token is read again every minute."""
        settings: dict[str, dict[str, Any]] = await self._configuration.auth_settings()
        return {each["key"]: each["value"] for each in settings.values() if each["in"] == "header" and each["value"]}

    def tls(self) -> ssl.SSLContext:
        """Raises ApiError when a certificate cannot be read."""
        configuration = self._configuration
        try:
            context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
            if configuration.cert_file:
                context.load_cert_chain(configuration.cert_file, configuration.key_file)
        except (OSError, ssl.SSLError) as error:
            raise ApiError(f"{self.text}: a certificate of the Kubernetes API cannot be read: {error}") from error
        if not configuration.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if configuration.disable_strict_ssl_verification:
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


async def log_in(access: Access) -> Login:
    """Read it all anew. Raises ApiError saying what is missing."""
    from kubernetes_asyncio.client.configuration import Configuration

    files = access.kubeconfig or os.environ.get("KUBECONFIG", "")
    if not files and not access.context and _is_in_cluster():
        return _of_the_pod(Configuration())
    return await _of_a_user(Configuration(), _files(files or _USERS), access.context)


def _is_in_cluster() -> bool:
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (_ACCOUNT / "token").is_file()


def _of_the_pod(configuration: Configuration) -> Login:
    from kubernetes_asyncio.config import ConfigException
    from kubernetes_asyncio.config.incluster_config import InClusterConfigLoader

    text = "the service account of this Pod"
    try:
        InClusterConfigLoader(str(_ACCOUNT / "token"), str(_ACCOUNT / "ca.crt")).load_and_set(configuration)
    except (ConfigException, OSError) as error:
        raise ApiError(f"{text} cannot be used: {error}") from error
    return Login(configuration, text)


def _files(paths: str) -> str:
    """The kubeconfigs of a path list, one of which there must be."""
    files = [os.path.expanduser(path) for path in paths.split(os.pathsep)]
    if not any(os.path.isfile(file) for file in files):
        raise ApiError(
            f"no way to a Kubernetes API: this is no Pod with a service account, and there is no kubeconfig {paths}; "
            "set KUBECONFIG or kubernetes.kubeconfig"
        )
    return os.pathsep.join(files)


async def _of_a_user(configuration: Configuration, files: str, context: str) -> Login:
    from kubernetes_asyncio.config import load_kube_config

    text = f"kubeconfig {files}" + (f", context {context}" if context else "")
    try:
        await load_kube_config(files, context or None, configuration, persist_config=False)
    except Exception as error:  # what it raises for a file that is wrong is not said anywhere
        raise ApiError(f"{text} cannot be used: {type(error).__name__}: {error}") from error
    return Login(configuration, text)
