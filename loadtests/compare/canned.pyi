from collections.abc import Iterable, Mapping
from typing import NoReturn

def serve(listeners: Iterable[int], replies: Mapping[str, tuple[bytes, bool]]) -> NoReturn: ...
