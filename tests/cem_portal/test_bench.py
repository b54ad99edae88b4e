"""The bench: what it writes for machines, and that nothing outlives it."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest
from django.conf import settings

from cem_portal.bench.measure import Watch


def start_bench(data, *arguments):
    return subprocess.Popen(
        [sys.executable, "manage.py", "bench", *arguments],
        cwd=settings.BASE_DIR,
        env=os.environ | {"PORTAL_DATA": str(data)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )


def test_its_figures_name_the_case_its_goal_and_the_verdict(tmp_path):
    assert start_bench(tmp_path, "--quick", "--only", "P3-signals", "--json", str(tmp_path / "f")).wait() == 0
    (figures,) = json.loads((tmp_path / "f").read_text())
    assert (figures["case"], figures["rows"], figures["goal"]) == ("P3-signals", 100_000, "rows/s ≥ 100,000")
    assert figures["met"] == (figures["rows_per_s"] >= 100_000)
    assert figures["ratio"] == pytest.approx(figures["ours_s"] / figures["floor_s"], rel=0.01)
    assert not started(tmp_path)


def test_each_case_tells_its_own_peak_of_memory():
    with Watch.watching():
        block = b"x" * 400_000_000
        Watch.look()  # as the watcher does, five times a second
        del block
    assert Watch.take() - Watch.take() > 200


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_ended_early_it_leaves_no_process_and_no_folder(tmp_path, sign):
    running = start_bench(tmp_path, "--quick", "--only", "P1")
    try:
        until = time.monotonic() + 200
        while not is_delivering(tmp_path):
            assert time.monotonic() < until, f"servers, the inner run and its workers: {started(tmp_path)}"
            time.sleep(0.05)
        running.send_signal(sign)
        assert running.wait(timeout=80) == 128 + sign
    finally:
        running.terminate()
        running.wait()
    assert not started(tmp_path)
    assert not [left for left in tmp_path.glob("bench-*") if left.is_dir()]


def is_delivering(data):
    return any("celery" in command for command in started(data))


def started(data):
    """The commands of all that was started with this folder of data: the servers, the inner run, its workers."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            command = " ".join(process.cmdline())
            if str(data) in command or process.environ().get("PORTAL_DATA") == str(data):
                found.append(command)
    return found
