"""Serves, and is killed for it, again and again: python crashing.py URL MODELS ROUNDS SEED.

This process forks one child a round, which is the service. Several clients ask it for lists and post events that cite them,
until it is killed, a random while after the first answer. To its successor they post again what was not acknowledged. At the end
the acknowledged ids are printed.
"""

import json
import os
import random
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from tastemaker.service.app import Settings, create_app
from tastemaker.service.engine import Engine
from tastemaker.service.run import run
from tastemaker.service.store import Store

CLIENTS = 4


def serve(url: str, models: str, pipe: int) -> None:
    """Be the service; the port is told by the pipe."""
    settings = Settings(port=0)
    app = create_app(Engine.open(Store.open(url), models), settings)

    def ready(address: str) -> None:
        os.write(pipe, f"{urlsplit(address).port}\n".encode())

    run(app, settings, ready)


@dataclass
class Client:
    """Somebody who looks at lists and tells what they did with them, in batches of one to five events.

    Attributes:
        number: of the client.
        acknowledged: ids of events.
        batch: how many batches were acknowledged.
        waiting: a batch that was not, if there is one.
        failure: what went wrong that a killed service does not explain.
    """

    number: int
    acknowledged: list[str] = field(default_factory=list)
    batch: int = 0
    waiting: list[dict[str, Any]] = field(default_factory=list)
    failure: Exception | None = None

    def go_on(self, port: int, answered: threading.Event) -> None:
        """Until the service is gone."""
        connection = HTTPConnection("127.0.0.1", port, timeout=300)
        try:
            while True:
                self.waiting = self.waiting or self._look(connection)
                self._tell(connection)
                answered.set()
        except (OSError, HTTPException):
            connection.close()
        except Exception as error:
            self.failure = error

    def _look(self, connection: HTTPConnection) -> list[dict[str, Any]]:
        user = f"u{self.number}"
        shown = _post(connection, "/v1/recommendations", {"user_id": user, "k": 2, "exclude_seen": False})
        return [
            {
                "event_id": f"{self.number}-{self.batch}-{place}",
                "user_id": user,
                "item_id": shown["items"][0]["item_id"],
                "kind": "click",
                "recommendation_id": shown["recommendation_id"],
            }
            for place in range(1 + self.batch % 5)
        ]

    def _tell(self, connection: HTTPConnection) -> None:
        told = _post(connection, "/v1/events", {"events": self.waiting})
        if told["rejected"]:  # the list they cite went down with the one who made it
            assert all("no decision" in one["reason"] for one in told["rejected"]), told
            self.waiting = [event | {"recommendation_id": None} for event in self.waiting]
            told = _post(connection, "/v1/events", {"events": self.waiting})
        assert told["accepted"] + len(told["duplicates"]) == len(self.waiting), told
        self.acknowledged += [event["event_id"] for event in self.waiting]
        self.batch += 1
        self.waiting = []


def _post(connection: HTTPConnection, path: str, body: dict[str, Any]) -> Any:
    connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status == 200, f"{path}: {answer.status} {content!r}"
    return json.loads(content)


def one_round(url: str, models: str, clients: list[Client], after: float) -> None:
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            serve(url, models, theirs)
        finally:
            os._exit(1)
    try:
        os.close(theirs)
        with os.fdopen(ours) as told:
            port = int(told.readline())
        answered = threading.Event()
        threads = [threading.Thread(target=client.go_on, args=(port, answered)) for client in clients]
        for thread in threads:
            thread.start()
        assert answered.wait(300), "nothing was acknowledged"
        time.sleep(after)
    finally:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the service ended by itself: {status}"
    for thread in threads:
        thread.join()
    for client in clients:
        if client.failure:
            raise client.failure


def main(url: str, models: str, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    clients = [Client(number) for number in range(CLIENTS)]
    for _ in range(rounds):
        one_round(url, models, clients, chance.uniform(0, 0.2))
    print(*(event for client in clients for event in client.acknowledged))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
