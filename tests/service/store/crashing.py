"""Posts events to a store and is killed for it, again and again: python crashing.py URL ROUNDS SEED.

This process forks one child a round, which opens the store and posts from several threads; each writes a line when its events
are acknowledged. After a random while the child is killed. Its successor begins with what was not acknowledged. At the
end the acknowledged ids are printed.
"""

import os
import random
import select
import signal
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
from service.store.made import decision, event
from tastemaker.service.store import Store

CLIENTS = 4


def post_forever(url: str, starts: list[int], pipe: int) -> None:
    store = Store.open(url)

    def client(number: int) -> None:
        n = starts[number]
        while True:
            batch = [f"{number}-{i}" for i in range(n, n + 1 + n % 5)]
            store.log(decision(f"r{number}-{n}"))
            posted = store.post([event(e, recommendation_id=f"r{number}-{n}") for e in batch]).result()
            assert posted.accepted + len(posted.duplicates) == len(batch), posted
            n += len(batch)
            os.write(pipe, f"{number} {n}\n".encode())  # short: whole or not at all

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def one_round(url: str, starts: list[int], after: float) -> list[int]:
    """How far each client was acknowledged when it was killed, some time after its first acknowledgement."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            post_forever(url, starts, theirs)
        finally:
            os._exit(1)
    os.close(theirs)
    ready, _, _ = select.select([ours], [], [], 60)
    assert ready, "the store did not come up"
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the child failed by itself: {status}"
    with os.fdopen(ours) as lines:
        ends = list(starts)
        for line in lines:
            number, n = map(int, line.split())
            ends[number] = n
    return ends


def main(url: str, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    ends = [0] * CLIENTS
    for _ in range(rounds):
        before = sum(ends)
        ends = one_round(url, ends, chance.uniform(0, 0.2))
        assert sum(ends) > before
    print(*(f"{number}-{n}" for number, end in enumerate(ends) for n in range(end)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
