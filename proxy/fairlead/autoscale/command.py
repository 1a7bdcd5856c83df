"""`fairlead hpa`: ask a running Fairlead, or try drivers in virtual time, and print.

Owns the question to the admin server; what is made of the answer is advice.py's. Imports no client library.
"""

from __future__ import annotations

import http.client
import json
from typing import Any, Final

from fairlead.autoscale.advice import Wanted, manifest
from fairlead.errors import ConfigError

_PATH: Final = "/api/v1/autoscale"
_LIMIT_S: Final = 5.0
_LONGEST: Final = 1 << 26


def advise(admin: str, wanted: Wanted) -> int:
    """Print the manifest. Raises ConfigError when it cannot be had."""
    print(manifest(wanted, _services(admin)), end="")
    return 0


def _services(admin: str) -> dict[str, Any]:
    try:
        connection = http.client.HTTPConnection(admin, timeout=_LIMIT_S)
        try:
            connection.request("GET", _PATH)
            reply = connection.getresponse()
            body = reply.read(_LONGEST)
        finally:
            connection.close()
        found: dict[str, Any] = json.loads(body)["services"] if reply.status == 200 else {}
    except (OSError, http.client.HTTPException) as error:
        raise ConfigError([f"--admin: {admin} does not answer: {error}; is a Fairlead running there?"]) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError([f"--admin: {admin} does not answer as an admin server of Fairlead does"]) from error
    if reply.status != 200:
        raise ConfigError([f"--admin: {admin} answers {reply.status} to {_PATH}; is it another version of Fairlead?"])
    return found
