"""A child is watched, ended with everything it started, and never outlives its worker."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.child import ChildTimeout, ChildTooCostly, Limits, run_child
from shared.domain.errors import Stopped
from shared.leash import can_isolate

SOME = 1.5  # seconds; long enough for a shell to start and say a line on a busy machine
FAMILY = "sleep 300 & echo $!; echo $$; wait"


def never() -> bool:
    return False


class Pids:
    """Collects the process ids a family of processes says; `silent` takes no line for progress."""

    def __init__(self) -> None:
        self.found: list[int] = []

    def __call__(self, line: str) -> bool:
        if line.isdigit():
            self.found.append(int(line))
        return False


def test_a_child_that_ends_gives_code_output_and_errors() -> None:
    """What it wrote arrives whole."""
    ended = run_child(["sh", "-c", "echo out; echo err >&2; exit 7"], limits=Limits(), stopping=never)
    assert (ended.code, ended.output, ended.errors) == (7, b"out\n", "err\n")
    assert ended.seconds > 0


def test_a_child_ended_by_a_signal_has_a_negative_code() -> None:
    """A crash is told from a refusal."""
    assert run_child(["sh", "-c", "kill -SEGV $$"], limits=Limits(), stopping=never).code == -11


def test_a_child_gets_the_signals_any_program_starts_with() -> None:
    """Python ignores a broken pipe; a tool that inherited that would write on for nobody."""
    assert run_child(["sh", "-c", "kill -PIPE $$; kill -XFSZ $$"], limits=Limits(), stopping=never).code == -13


def test_a_missing_program_is_127_and_named() -> None:
    """As a shell would say it."""
    ended = run_child(["/nonexistent/ffmpeg"], limits=Limits(), stopping=never)
    assert ended.code == 127
    assert "/nonexistent/ffmpeg" in ended.errors


def test_arguments_arrive_unchanged() -> None:
    """The leash in between neither splits nor reads them."""
    arguments = ["a b", "", "-x", "$HOME", "龍", os.fsdecode(b"\xff")]
    code = "import os, sys; sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode, sys.argv[1:])))"
    ended = run_child([sys.executable, "-c", code, *arguments], limits=Limits(), stopping=never)
    assert ended.output.split(b"\0") == [os.fsencode(argument) for argument in arguments]


def test_a_child_has_no_standard_input(tmp_path: Path) -> None:
    """ffmpeg must never wait for a key."""
    assert run_child(["cat"], limits=Limits(total_seconds=60), stopping=never).code == 0


def test_a_child_runs_in_the_folder_it_is_given_and_as_nice_as_asked(tmp_path: Path) -> None:
    """Relative names in a list file resolve there."""
    ended = run_child(["sh", "-c", "pwd; nice"], limits=Limits(), stopping=never, folder=tmp_path, nice=5)
    assert ended.output.decode().split() == [str(tmp_path), str(os.nice(0) + 5)]


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this system does not group by sessions")
def test_a_very_nice_child_is_so_to_other_sessions_too() -> None:
    """Where each session has a share of its own, niceness within it would change nothing; also several at once."""
    asked = ["cat", "/proc/self/autogroup"]
    with ThreadPoolExecutor(4) as pool:
        children = [
            pool.submit(run_child, asked, limits=Limits(), stopping=never, nice=19 - os.nice(0)) for _ in range(4)
        ]
        assert [child.result().output.decode().split()[-1] for child in children] == ["19"] * 4


def test_a_nice_child_stays_in_its_workers_session() -> None:
    """There it gives way to the others."""
    asked = [sys.executable, "-c", "import os; print(os.getsid(0), os.getpgrp() == os.getpid())"]
    ended = run_child(asked, limits=Limits(), stopping=never, nice=5)
    assert ended.output.decode().split() == [str(os.getsid(0)), "True"]


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="this system has no such policy")
def test_a_child_works_in_batches() -> None:
    """Its threads do not interrupt others at each wake-up; a policy that somebody chose stays."""
    asked = "import os; print(os.sched_getscheduler(0))"
    ended = run_child([sys.executable, "-c", asked], limits=Limits(), stopping=never)
    usual = os.sched_getscheduler(0)
    assert int(ended.output) == (os.SCHED_BATCH if usual == os.SCHED_OTHER else usual)


def test_each_line_is_handed_over_even_an_unfinished_last_one() -> None:
    """The reader gets every line once, and nothing is left over."""
    lines: list[str] = []

    def read(line: str) -> bool:
        lines.append(line)
        return False

    arguments = ["printf", "one\\ntwo\\n\\303\\nlast"]
    ended = run_child(arguments, limits=Limits(), stopping=never, on_line=read)
    assert lines == ["one", "two", "\ufffd", "last"]
    assert ended.output == b""


def test_a_large_output_arrives_whole() -> None:
    """More than a pipe holds."""
    ended = run_child(["sh", "-c", "yes 0123456789 | head -n 200000"], limits=Limits(), stopping=never)
    assert len(ended.output) == 200_000 * 11


def test_the_tail_of_standard_error_is_kept_and_all_of_it_in_the_file(tmp_path: Path) -> None:
    """What a tool said last is what explains a failure; the whole goes beside the task."""
    path = tmp_path / "stderr.log"
    script = "yes noise | head -n 30000 >&2; echo the end >&2"
    ended = run_child(["sh", "-c", script], limits=Limits(), stopping=never, errors_to=path)
    assert ended.errors.endswith("noise\nthe end\n")
    assert len(ended.errors) == 64 * 1024
    assert path.read_bytes() == b"noise\n" * 30_000 + b"the end\n"


def test_standard_error_is_added_to_the_file_and_told_for_each_child_alone(tmp_path: Path) -> None:
    """One attempt runs several children; its file keeps what all of them said."""
    path = tmp_path / "stderr.log"
    for word in ("first", "second"):
        ended = run_child(["sh", "-c", f"echo {word} >&2"], limits=Limits(), stopping=never, errors_to=path)
        assert ended.errors == f"{word}\n"
    assert path.read_text() == "first\nsecond\n"


def test_standard_error_that_is_no_text_is_kept_readable() -> None:
    """A tool that repeats a hostile name does not break its explanation."""
    ended = run_child(["sh", "-c", r"printf '\377bad\n' >&2"], limits=Limits(), stopping=never)
    assert ended.errors == "\ufffdbad\n"


def test_the_total_limit_ends_the_whole_group(is_gone: Callable[[int], bool], eventually: Callable[..., None]) -> None:
    """A grandchild dies with the child."""
    pids = Pids()
    with pytest.raises(ChildTimeout, match=r"took longer than 1\.5 s"):
        run_child(["sh", "-c", FAMILY], limits=Limits(total_seconds=SOME), stopping=never, on_line=pids)
    assert len(pids.found) == 2
    eventually(lambda: all(map(is_gone, pids.found)))


def test_the_silence_limit_ends_a_group_that_only_makes_noise(
    is_gone: Callable[[int], bool], eventually: Callable[..., None]
) -> None:
    """Lines that mean no progress are silence."""
    pids = Pids()
    script = "sleep 300 & echo $!; echo $$; while true; do echo noise; sleep 0.1; done"
    with pytest.raises(ChildTimeout, match=r"made no progress for 1\.5 s"):
        run_child(["sh", "-c", script], limits=Limits(silence_seconds=SOME), stopping=never, on_line=pids)
    assert len(pids.found) == 2
    eventually(lambda: all(map(is_gone, pids.found)))


def test_progress_renews_the_silence_limit() -> None:
    """A child that works longer than the limit, but never silently, is left to work."""
    script = "for i in 1 2 3 4 5 6 7 8 9 10; do echo $i; sleep 0.2; done"
    ended = run_child(["sh", "-c", script], limits=Limits(silence_seconds=SOME), stopping=never, on_line=lambda _: True)
    assert ended.code == 0


def test_a_request_to_stop_ends_the_whole_group(
    is_gone: Callable[[int], bool], eventually: Callable[..., None]
) -> None:
    """Without any limit, asking is enough."""
    pids = Pids()
    with pytest.raises(Stopped):
        run_child(["sh", "-c", FAMILY], limits=Limits(), stopping=lambda: len(pids.found) == 2, on_line=pids)
    eventually(lambda: all(map(is_gone, pids.found)))


def test_a_child_that_ignores_polite_signals_is_ended_too(
    is_gone: Callable[[int], bool], eventually: Callable[..., None]
) -> None:
    """A stuck tool cannot hold its worker."""
    pids = Pids()
    script = "trap '' TERM INT HUP; sleep 300 & echo $!; echo $$; while true; do sleep 1; done"
    with pytest.raises(Stopped):
        run_child(["sh", "-c", script], limits=Limits(), stopping=lambda: len(pids.found) == 2, on_line=pids)
    eventually(lambda: all(map(is_gone, pids.found)))


def test_a_grandchild_left_behind_by_a_finished_child_is_ended_at_the_limit(
    is_gone: Callable[[int], bool], eventually: Callable[..., None]
) -> None:
    """The leader of the group is gone, but what it started still holds the pipe."""
    pids = Pids()
    with pytest.raises(ChildTimeout):
        run_child(["sh", "-c", "sleep 300 & echo $!"], limits=Limits(total_seconds=SOME), stopping=never, on_line=pids)
    assert len(pids.found) == 1
    eventually(lambda: is_gone(pids.found[0]))


def test_limits_hold_for_a_child_that_closed_its_output(
    is_gone: Callable[[int], bool], eventually: Callable[..., None]
) -> None:
    """A child that says nothing any more is still watched."""
    pids = Pids()
    script = "echo $$; exec sleep 300 >&-"
    with pytest.raises(ChildTimeout):
        run_child(["sh", "-c", script], limits=Limits(total_seconds=SOME), stopping=never, on_line=pids)
    with pytest.raises(Stopped):
        run_child(["sh", "-c", script], limits=Limits(), stopping=lambda: len(pids.found) == 2, on_line=pids)
    eventually(lambda: all(map(is_gone, pids.found)))


def test_a_reader_that_fails_ends_the_child(is_gone: Callable[[int], bool], eventually: Callable[..., None]) -> None:
    """No bug of ours leaves a render behind."""
    pids: list[int] = []

    def broken(line: str) -> bool:
        pids.append(int(line))
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        run_child(["sh", "-c", "echo $$; exec sleep 300"], limits=Limits(), stopping=never, on_line=broken)
    eventually(lambda: is_gone(pids[0]))


def test_a_killed_worker_takes_its_child_down(
    start_python: Callable[..., subprocess.Popen[str]],
    said: Callable[[subprocess.Popen[str]], str],
    is_gone: Callable[[int], bool],
    eventually: Callable[..., None],
) -> None:
    """SIGKILL leaves the worker no time to clean up, and still nothing goes on rendering."""
    worker = start_python(
        """
from shared.child import Limits, run_child
def tell(line):
    print(line, flush=True)
    return True
run_child(["sh", "-c", "echo $$; exec sleep 300"], limits=Limits(), stopping=lambda: False, on_line=tell)
"""
    )
    pid = int(said(worker))
    assert not is_gone(pid)
    worker.kill()
    eventually(lambda: is_gone(pid))


def test_a_leash_held_by_nobody_starts_nothing(tmp_path: Path) -> None:
    """A worker that died before its child was leashed leaves no child."""
    leash = Path(sys.modules["shared.leash"].__file__ or "")
    mark = tmp_path / "started"
    arguments = [
        sys.executable,
        "-I",
        "-S",
        str(leash),
        "1",
        "9",
        "0",
        "",
        "0",
        "touch",
        str(mark),
    ]  # 1 is not this process
    assert subprocess.run(arguments, check=False, timeout=60).returncode == 1
    assert not mark.exists()


# -- what a child may take -------------------------------------------------------------------------

SPIN = "while True: pass"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_child_without_limits_has_none_but_leaves_no_core() -> None:
    """Renders take what they need; the core of a crashed one would fill the disk."""
    code = "import resource as r; print([r.getrlimit(n)[0] for n in (r.RLIMIT_CORE, r.RLIMIT_CPU, r.RLIMIT_FSIZE)])"
    ended = run_child(python(code), limits=Limits(), stopping=never)
    assert ended.output == b"[0, -1, -1]\n"


def test_a_child_is_ended_at_its_limit_of_processor_time() -> None:
    """It says how much that was."""
    with pytest.raises(ChildTooCostly, match=r"used [123] s of processor time") as ended:
        run_child(python(SPIN), limits=Limits(cpu_seconds=1, total_seconds=60), stopping=never)
    assert ended.value.need == "cpu"


def test_a_child_that_catches_the_signal_was_too_costly_all_the_same() -> None:
    """ffmpeg ends in good order then, with a status of its own."""
    code = f"import signal, sys; signal.signal(signal.SIGXCPU, lambda *_: sys.exit(255))\n{SPIN}"
    with pytest.raises(ChildTooCostly, match="processor time"):
        run_child(python(code), limits=Limits(cpu_seconds=1, total_seconds=60), stopping=never)


def test_a_child_tells_its_processor_time() -> None:
    """While it runs (on Linux) and at its end; sleeping costs nothing."""
    told: list[float] = []
    code = "import time\nwhile time.process_time() < 0.5: pass\nprint(); time.sleep(1)"
    ended = run_child(python(code), limits=Limits(), stopping=never, on_cost=told.append)
    assert 0.5 <= ended.cpu_seconds < 2
    if sys.platform == "linux":
        assert told == sorted(told)
        assert max(told) <= ended.cpu_seconds + 0.05


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a running child has used")
def test_a_listener_may_end_a_child_that_grows_too_costly() -> None:
    """Long before the limit."""

    def enough(used: float) -> None:
        if used > 0.3:
            raise ChildTooCostly("cpu", "would go on for ever")

    with pytest.raises(ChildTooCostly, match="would go on for ever"):
        run_child(python(SPIN), limits=Limits(total_seconds=60), stopping=never, on_cost=enough)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits what a process may write to")
def test_a_child_that_wants_too_much_memory_does_not_get_it() -> None:
    """Whatever it does about that, it was too costly."""
    code = "x = bytearray(400_000_000)"
    with pytest.raises(ChildTooCostly, match="needed more than 200 MB of memory") as ended:
        run_child(python(code), limits=Limits(memory_bytes=200_000_000), stopping=never)
    assert ended.value.need == "memory"
    assert run_child(python(code), limits=Limits(memory_bytes=800_000_000), stopping=never).code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits what a process may write to")
def test_memory_that_is_only_reserved_does_not_count() -> None:
    """Threads and allocators reserve far more than they use."""
    code = "import mmap; mmap.mmap(-1, 1 << 33, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)"
    assert run_child(python(code), limits=Limits(memory_bytes=200_000_000), stopping=never).code == 0


def test_endless_complaints_end_at_the_limit_of_a_file(tmp_path: Path) -> None:
    """Standard error goes to a file, which must not fill the disk."""
    path = tmp_path / "stderr.log"
    with pytest.raises(ChildTooCostly, match="wrote more than 1 MB") as ended:
        run_child(["sh", "-c", "yes >&2"], limits=Limits(file_bytes=1_000_000), stopping=never, errors_to=path)
    assert ended.value.need == "file"
    assert path.stat().st_size == 1_000_000


CONNECT = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    try:
        socket.create_connection(server.getsockname(), timeout=10).close()
        print("reached")
    except OSError:
        print("out of reach")
"""


def test_a_child_has_the_network_unless_it_is_offline() -> None:
    """Not even its own loopback is up where it has none; where it cannot be taken away, the child runs all the same."""
    assert run_child(python(CONNECT), limits=Limits(), stopping=never).output == b"reached\n"
    wanted = b"out of reach\n" if can_isolate() else b"reached\n"
    assert run_child(python(CONNECT), limits=Limits(offline=True), stopping=never).output == wanted


def test_an_offline_child_dies_with_its_worker(
    start_python: Callable[..., subprocess.Popen[str]],
    said: Callable[[subprocess.Popen[str]], str],
    is_gone: Callable[[int], bool],
    eventually: Callable[..., None],
) -> None:
    """Moving into another namespace takes the leash off, unless it is put on afterwards."""
    worker = start_python(
        """
from shared.child import Limits, run_child
def tell(line):
    print(line, flush=True)
    return True
run_child(["sh", "-c", "echo $$; exec sleep 300"], limits=Limits(offline=True), stopping=lambda: False, on_line=tell)
"""
    )
    pid = int(said(worker))
    worker.kill()
    eventually(lambda: is_gone(pid))


def test_a_stricter_limit_that_is_in_force_stays() -> None:
    """An operator's own limits are not lifted."""
    inner = "import resource; print(resource.getrlimit(resource.RLIMIT_CPU))"
    outer = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_CPU, (20, 25))\n"
        "import shared.leash as leash, subprocess\n"
        f"arguments = leash.leashed([sys.executable, '-c', {inner!r}], limits={{resource.RLIMIT_CPU: (50, 60)}})\n"
        "sys.exit(subprocess.run(arguments).returncode)"
    )
    ended = run_child(python(outer), limits=Limits(), stopping=never, folder=Path(__file__).parents[2])
    assert ended.output == b"(25, 25)\n", ended.errors
