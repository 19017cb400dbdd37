"""Making the next ones while one is worked on."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

THREADS = "ahead"
"""How the names of these threads begin."""


def read_ahead(
    work: Callable[[T], R], items: Iterable[T], threads: int = 1, ahead: int = 0
) -> Generator[R, None, None]:
    """Yield what `work` makes of each item, in order; threads make the next ones meanwhile.

    Args:
        work: makes something of an item.
        items: taken one by one in the caller's thread.
        threads: that work side by side.
        ahead: items that are made or in work beside the one handed out; as many as threads, at
            least.
    """
    ahead = max(ahead, threads)
    pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix=THREADS)
    pending: deque[Future[R]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
