"""Two services over one ledger, each on a link of its own to PostgreSQL: one writes, the other stands by."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from psycopg.conninfo import make_conninfo

from scripts.torture.network import Network
from scripts.torture.proxy import Proxy
from scripts.torture.served import Served


class Pair:
    """Both run while the block does. `links` are networks where there are any, else proxies."""

    def __init__(self, dsn: str, folder: Path, *, networks: Sequence[Network] = (), **settings: Any) -> None:
        """`networks` are two that have begun, whose outer addresses PostgreSQL listens on; `settings` are of Config."""
        proxies = [] if networks else [Proxy(dsn), Proxy(dsn)]
        self._proxies = proxies
        self.links: Sequence[Network | Proxy] = networks or proxies
        self.services = (
            *(Served(folder, dsn=proxy.dsn, **settings) for proxy in proxies),
            *(
                Served(folder, host=each.inner, inside=each.inside, dsn=make_conninfo(dsn, host=each.outer), **settings)
                for each in networks
            ),
        )

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for proxy in self._proxies:
                stack.enter_context(proxy)
            for service in self.services:
                stack.callback(service.stop)
                service.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
