"""`fairlead demo`: a load balancer at work, with everything that it takes, in one terminal.

Three backends (backend.py; a process each, so that a kill is a real one) and the real proxy are started by stage.py,
traffic.py sends requests through the proxy, script.py says when a backend dies, comes back or grows slow, figures.py
turns what the proxy and the client say into rows, view.py shows them, show.py runs it all. A backend is a process of
the demo; the proxy knows its address and calls that an endpoint. Nothing else of Fairlead depends on this package.
"""

from __future__ import annotations


def run(seconds: float) -> int:
    """Show the demo for so long, 0 for until it is interrupted; returns the exit status."""
    # Here and not above: each backend imports this package too, and has no use for a terminal.
    from fairlead.demo.show import run as show

    return show(seconds)
