"""A store in each database: SQLite always, PostgreSQL where its programs (or a server) are."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from tastemaker.service.store import Store


def _programs() -> Path | None:
    """Where PostgreSQL's programs are; Debian keeps them out of the path."""
    found = shutil.which("initdb")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server: TASTEMAKER_POSTGRES, or one that is started in a temporary folder and listens to nobody else."""
    if given := os.environ.get("TASTEMAKER_POSTGRES"):
        yield given
        return
    pytest.importorskip("psycopg", reason="PostgreSQL: psycopg is not installed")
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL: its programs are not installed, and TASTEMAKER_POSTGRES names no server")
    folder = Path(
        subprocess.check_output(["mktemp", "-d", "/tmp/tastemaker-postgres.XXXXXX"], text=True).strip()
    )
    # The server does not run as root.
    as_whom = (
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    )
    if as_whom:
        shutil.chown(folder, "postgres", "postgres")

    def run(program: str, *arguments: str) -> None:
        command = [*as_whom, str(programs / program), "-D", str(folder / "data"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        assert done.returncode == 0, done.stdout + done.stderr

    run("initdb", "--auth=trust", "--username=tester", "--encoding=UTF8", "--locale=C")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    run("pg_ctl", "start", "--wait", "--options", options, "--log", str(folder / "log"))
    yield f"postgresql://tester@/postgres?host={folder}"
    run("pg_ctl", "stop", "--wait", "--mode", "fast")
    shutil.rmtree(folder)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def postgres_url(postgres: str) -> Iterator[str]:
    """A database of its own."""
    server = sa.create_engine(
        sa.make_url(postgres).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    name = f"store_{uuid4().hex}"
    with server.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield sa.make_url(postgres).set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    server.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty database: what holds of one must hold of the other."""
    there: str = request.getfixturevalue(f"{request.param}_url")
    return there


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as opened:
        yield opened
