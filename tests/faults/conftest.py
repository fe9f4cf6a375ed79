"""A site for every test, and a record of what each fault did."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

import tests.faults.sample.jobs  # noqa: F401 - who launches them must know them
from config.local.servers import stop_servers
from tests.faults import record
from tests.faults.servers import OwnPostgres, OwnValkey
from tests.faults.site import Site
from tests.fleet import ROOT

CLOCK = Path(f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}/faketime/libfaketime.so.1")
NOTHING: Mapping[str, str] = MappingProxyType({})
SEEN = pytest.StashKey[dict[str, Any]]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "fault(number, how, expected): a fault of docs/faults.md")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos-seconds", type=float, default=120, help="of faults, each campaign")
    parser.addoption("--chaos-seed", type=int, default=None, help="default: another every time")
    parser.addoption("--chaos-seeds", type=int, default=1, help="how many campaigns, seed by seed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Write down how a fault test ended, where MILLRACE_FAULTS names a file."""
    report = yield
    fault, path = item.get_closest_marker("fault"), os.environ.get("MILLRACE_FAULTS")
    decisive = report.when == "call" or report.skipped or report.failed
    if fault and path and decisive and report.when != "teardown":
        number, how, expected = fault.args
        record.write(
            path,
            {
                "fault": number, "test": item.name, "how": how, "expected": expected,
                "outcome": report.outcome, "reason": _reason(report), "seconds": report.duration,
                "seen": item.stash.get(SEEN, {}),
            },
        )  # fmt: skip
    return report


def _reason(report: pytest.TestReport) -> str:
    if report.skipped and isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return ""


@pytest.fixture
def saw(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Note what was seen: `saw(recovered=seconds, doubled=0, lost=0, takeover="5.1 s")`."""
    return request.node.stash.setdefault(SEEN, {}).update


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a database server on which all migrations have run."""
    root = tmp_path_factory.mktemp("template")
    (root / "logs").mkdir()
    postgres = OwnPostgres(root)
    postgres.up()
    own = {"DATABASE_URL": postgres.url, "MILLRACE_APPS": "tests.samples,tests.faults.sample"}
    migrate = [sys.executable, "manage.py", "migrate", "--run-syncdb", "-v", "0"]
    try:
        subprocess.run(migrate, env=os.environ | own, cwd=ROOT, check=True)
    finally:
        stop_servers([postgres])
    return postgres.data


@pytest.fixture
def open_site(_template: Path, tmp_path: Path, django_db_blocker: Any) -> Iterator[Callable]:
    """Make a site: `open_site(postgres={settings}, clock={variables}, JOBS_…="…")`."""
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())

        def opened(
            *,
            postgres: Mapping[str, str] = NOTHING,
            clock: Mapping[str, str] = NOTHING,
            **changes: str,
        ) -> Site:
            (tmp_path / "logs").mkdir()
            servers = OwnPostgres(tmp_path, **postgres), OwnValkey(tmp_path)
            servers[0].process.variables = dict(clock)
            site = Site(tmp_path, *servers, **changes)
            stack.callback(site.end)
            servers[0].take(_template)
            for server in servers:
                server.up()
            stack.enter_context(site.entered())
            return site

        yield opened
    shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def site(open_site: Callable) -> Site:
    """A site without processes."""
    return open_site()
