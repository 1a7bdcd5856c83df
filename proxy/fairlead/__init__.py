"""Fairlead: a user-space L4/L7 load-balancing proxy for Kubernetes."""

from importlib.util import find_spec

__version__ = "0.1.0"


def is_compiled() -> bool:
    """Whether the data plane runs as compiled code, or the same text interpreted (several times slower)."""
    spec = find_spec("fairlead.wire.http1")
    return spec is not None and not (spec.origin or "").endswith(".py")
