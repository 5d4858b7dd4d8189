"""Shows what gRPC itself costs: the ledger's own server, in a process of its own, with a method that does nothing.

`python -m scripts.bench.echo` serves until SIGTERM. Bytes in, bytes out: no message is parsed, none is made.
"""

from __future__ import annotations

import gc
import signal
import sys
import threading
from typing import Final

import grpc

from ledger.config import Config
from ledger.processors import keep_to
from ledger.server.app import App

ECHO: Final = "/bench.Echo/Nothing"
COMMAND: Final = (sys.executable, "-m", "scripts.bench.echo")


def main() -> None:
    """Serve on a free port of this machine, and say which."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    # Processors, options, threads and limits are those of the service, whatever they become.
    config = Config(listen="127.0.0.1:0")
    keep_to(config.processors)
    app = App(config)
    _, service, method = ECHO.split("/")
    handler = grpc.unary_unary_rpc_method_handler(lambda _, __: b"")
    app.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    gc.freeze()  # as `ledger serve` does
    gc.set_threshold(50_000, 10, 1_000)
    print(f"the echo is serving on {app.listen()}", flush=True)
    ended.wait()
    app.server.stop(None).wait()


if __name__ == "__main__":
    main()
