"""The master as a supervisor: its children in the tree, exit reasons of workers, reading again."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from acceptors.otp import KILL, ParentProcess, monitor, receive, root
from acceptors.otp.signals import post_exit
from plugpy.server.errors import ConfigurationError
from plugpy.server.master import Master
from plugpy.server.reread import take_over
from plugpy.server.settings import Settings, from_arguments, resolve
from plugpy.server.worker_process import WorkerProcess, exit_reason


@pytest.mark.parametrize(
    ("code", "reason"),
    [(0, "normal"), (7, ("exit_status", 7)), (-9, "noconnection"), (-11, "noconnection")],
)
def test_the_exit_reason_of_a_process_that_ended_by_itself(code: int, reason: Any) -> None:
    assert exit_reason(code) == reason


def settings_of(folder: Path, **options: Any) -> Settings:
    (folder / "served.py").write_text("def plug(conn):\n    return conn.send_resp(200, 'ok')\n")
    return from_arguments({"port": 0, "app_dir": str(folder), **options}, app="served:plug")


async def serving(settings: Settings, check: Any) -> int:
    """Run a master, `check(master)` when its workers are ready, and drain it."""
    from plugpy.server.master_sockets import ListeningSockets

    sockets = ListeningSockets(settings)
    try:
        master = Master(settings, sockets)
        running = asyncio.ensure_future(master.run())
        while not master.was_ready:
            assert not running.done()
            await asyncio.sleep(0.01)
        await check(master)
        master.drain("the test is over")
        return await running
    finally:
        sockets.close()


async def test_the_master_is_a_supervisor_in_the_tree(tmp_path: Path) -> None:
    async def check(master: Master) -> None:
        assert isinstance(master, ParentProcess)
        assert master.label == "master of 2 workers"
        assert [row[0] for row in master.which_children()] == ["worker 1", "worker 2"]
        assert master.count_children() == {
            "specs": 2, "active": 2, "supervisors": 0, "workers": 2,
        }  # fmt: skip
        processes = [row[1] for row in master.which_children()]
        assert processes == list(master.children.values())
        spec = master.slots[0].spec
        assert (spec.restart, spec.shutdown) == ("permanent", 20.0)

    assert await serving(settings_of(tmp_path, workers=2), check) == 0


async def test_m10_a_monitor_of_a_worker_whose_process_dies_gets_noconnection(
    tmp_path: Path,
) -> None:
    async def check(master: Master) -> None:
        worker, other = (slot.process for slot in master.slots)
        assert isinstance(worker, WorkerProcess)
        assert isinstance(other, WorkerProcess)
        monitor(worker)
        os.kill(worker.os_pid, signal.SIGKILL)
        assert (await receive())[2:] == ("process", worker, "noconnection")
        # A kill that is an exit signal is told as such, and at once.
        monitor(other)
        post_exit(root, other, KILL)
        assert not other.alive
        assert (await receive())[2:] == ("process", other, "killed")

    assert await serving(settings_of(tmp_path, workers=2), check) == 0


def test_what_is_read_again_takes_over_what_can_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml, env = tmp_path / "plugpy.toml", tmp_path / ".env"
    toml.write_text("port = 4001\nmax-body = '1MB'\nenv-file = '.env'\n")
    env.write_text("GREETING=hello\nGONE=1\n")
    monkeypatch.setattr(os, "environ", environment := {"PLUGPY_WORKERS": "2"})
    before = dict(environment)
    old = resolve("app:x", {"log_level": "warning"}, before, tmp_path)
    environment.update(old.exports)
    toml.write_text("port = 4002\nmax-body = '2MB'\nenv-file = '.env'\nlog-level = 'debug'\n")
    env.write_text("GREETING=good day\n")
    new = resolve("app:x", {"log_level": "warning"}, before, tmp_path)
    (kept,) = take_over(old, new)
    assert kept.startswith("port in plugpy.toml: port can't change while the server runs")
    assert (new["port"], new["max_body"], new["log_level"]) == (4001, 2_000_000, "warning")
    assert environment == {"PLUGPY_WORKERS": "2", "GREETING": "good day"}


async def test_a_faulty_configuration_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_of(tmp_path, max_requests=10**9)
    found: list[Any] = [ConfigurationError("plugpy.toml is not valid TOML: line 3"), None]

    async def check(master: Master) -> None:
        before = master.workers()

        def reread() -> Settings:
            if found[0] is not None:
                raise found[0]
            return settings_of(tmp_path, max_requests=10**9, max_body=5, workers=2)

        master._reread = reread
        master.reload()
        assert "the settings of before stay, and nothing is replaced" in caplog.text
        await asyncio.sleep(0)
        assert (master.workers(), master.settings) == (before, settings)
        # Mended: the number of workers follows, and each is replaced.
        found[0] = None
        master.reload()
        while (
            len(master.slots) != 2
            or not all(
                slot.process is not None and slot.process.state == "ready" for slot in master.slots
            )
            or any(worker in before for worker in master.workers())
        ):
            await asyncio.sleep(0.01)
        assert master.settings["max_body"] == 5

    assert await serving(settings, check) == 0
