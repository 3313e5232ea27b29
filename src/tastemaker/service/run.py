"""From an application to a server that listens."""

import gc
import socket
import sys
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from tastemaker.errors import TastemakerError
from tastemaker.service.app import Settings

__all__ = ["run"]

_BACKLOG = 2048
_TURN = 0.0005  # seconds after which threads that write or read let the event loop go on
_GOODBYE = 10  # seconds for requests under way when it ends


class _Server(uvicorn.Server):
    """Says where it listens once it does."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


def run(app: ASGIApp, settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until told to stop.

    Args:
        app: the application.
        settings: where to listen.
        ready: told the address as soon as requests are answered.

    Raises:
        TastemakerError: if the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise TastemakerError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; choose another with --port"
        ) from error
    host, port = listening.getsockname()[:2]
    url = f"http://[{host}]:{port}/" if family == socket.AF_INET6 else f"http://{host}:{port}/"
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # addresses of pages may carry users' ids
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_GOODBYE,
        h11_max_incomplete_event_size=65536,
    )
    sys.setswitchinterval(_TURN)
    gc.collect()
    gc.freeze()  # a collection need not walk through the models and the catalogue again and again
    with listening:
        _Server(config, lambda: ready(url)).run([listening])  # on uvloop where it is
