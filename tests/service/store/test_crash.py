import subprocess
import sys
from collections import Counter
from pathlib import Path

from tastemaker.service.store import Store

KILLS = 20


def test_no_acknowledged_event_is_lost_or_counted_twice_however_often_the_process_is_killed(url: str) -> None:
    program = Path(__file__).with_name("crashing.py")
    run = subprocess.run(
        [sys.executable, str(program), url, str(KILLS), "1"], capture_output=True, text=True, timeout=600
    )
    assert run.returncode == 0, run.stderr
    acknowledged = run.stdout.split()
    assert len(acknowledged) > KILLS
    with Store.open(url) as store:
        there = [e for _, e in store.since(0, limit=10**7)]
        assert all(store.decision(str(e.recommendation_id)) is not None for e in there)
    times = Counter(e.event_id for e in there)
    assert set(acknowledged) <= set(times)
    assert set(times.values()) == {1}
    batches = Counter(e.recommendation_id for e in there)
    whole = {r: 1 + int(str(r).split("-")[1]) % 5 for r in batches}
    assert batches == whole  # no batch is there in part
