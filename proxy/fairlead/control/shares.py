"""What one worker may do of what all of them together may: a limit means what it says, however many workers there are.

Pure. Owns the division. Workers do not know of each other, and need not: the kernel spreads connections over them. The
price is that one whose connections happen to do more may refuse or queue while another still has room; the gain is that
no request waits for another process. Invariant: the parts of a limit add up to it, but each worker has at least 1.
"""

from __future__ import annotations

from dataclasses import replace

from fairlead.model import Service, Update


def shared(update: Update, number: int, workers: int) -> Update:
    """The update as the worker of this number gets it."""
    if workers == 1:
        return update
    return replace(update, services=tuple(_service(service, number, workers) for service in update.services))


def _service(service: Service, number: int, workers: int) -> Service:
    """A service without limits stays what it is."""
    limits, queue = service.limits, service.queue
    if not (limits.max_connections or limits.max_in_flight or service.max_in_flight or queue):
        return service
    return replace(
        service,
        max_in_flight=part(service.max_in_flight, number, workers),
        limits=replace(
            limits,
            max_connections=part(limits.max_connections, number, workers),
            max_in_flight=part(limits.max_in_flight, number, workers),
        ),
        queue=replace(queue, max=part(queue.max, number, workers)) if queue is not None else None,
    )


def part(limit: int, number: int, workers: int) -> int:
    """The part of a limit that a worker keeps to; no limit stays none."""
    if not limit:
        return 0
    whole, rest = divmod(limit, workers)
    return max(whole + (number < rest), 1)
