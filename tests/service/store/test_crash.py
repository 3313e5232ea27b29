import subprocess
import sys
from collections import Counter
from pathlib import Path

from tastemaker import Dataset, ItemKNN
from tastemaker.models.bundle import save
from tastemaker.service.store import Store

KILLS = 20


def test_no_acknowledged_event_is_lost_or_counted_twice_however_often_the_service_is_killed(
    url: str, tmp_path: Path
) -> None:
    pairs = {"user": list("aabbcc"), "item": ["tea", "jam", "tea", "ham", "jam", "egg"]}
    models = save({"item_knn": ItemKNN().fit(Dataset.from_interactions(pairs))}, tmp_path / "models")
    program = Path(__file__).with_name("crashing.py")
    run = subprocess.run(
        [sys.executable, str(program), url, str(models), str(KILLS), "1"],
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert run.returncode == 0, run.stderr
    acknowledged = run.stdout.split()
    assert len(acknowledged) >= KILLS
    with Store.open(url) as store:
        there = [event for _, event in store.since(0, limit=10**7)]
        cited = {event.recommendation_id for event in there} - {None}
        assert cited
        assert all(store.decision(str(name)) is not None for name in cited)
    times = Counter(event.event_id for event in there)
    assert set(acknowledged) <= set(times)
    assert set(times.values()) == {1}
    batches = Counter(event.event_id.rsplit("-", 1)[0] for event in there)
    assert batches == {name: 1 + int(name.split("-")[1]) % 5 for name in batches}  # none is there in part
