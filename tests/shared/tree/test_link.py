"""A real sshd that dies and comes back, a cable that is cut or goes dead, and servers that are not to be trusted."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from statistics import median

import pytest

from shared.tree.hosts import LinkRefused
from shared.tree.link import Link, Patience
from shared.tree.remote import BadAddress, Remote
from shared.tree.sftp import SftpTree
from shared.tree.tree import NoInformation, NotThere
from tests.farside import Cable, Sshd, linked, make_key, running_sshd

P = PurePosixPath
FILM = os.urandom(1 << 20) * 6
SHA256 = hashlib.sha256(FILM).hexdigest()
IMPATIENT = Patience(connect=2.0, reply=0.5, link=1.0, keep_alive=1.0)
SETTLED = Patience(connect=2.0, reply=0.5, link=20.0, keep_alive=1.0)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(FILM)
    return path


@pytest.fixture
def root(sshd: Sshd, root_at: Callable[[Sshd], Path]) -> Path:
    return root_at(sshd)


@contextmanager
def tree_at(remote: Remote, patience: Patience = SETTLED) -> Iterator[SftpTree]:
    with linked(remote, patience) as link:
        yield SftpTree(link)


def put(sshd: Sshd, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    os.chown(path, sshd.owner, -1)


# -- carried over a link that breaks -------------------------------------------------------------


@pytest.mark.parametrize("fault", ["cut", "dead", "unplugged"])
def test_an_upload_survives_its_link(sshd: Sshd, cable: Cable, root: Path, film: Path, fault: str) -> None:
    """It goes on where it was, is whole and checked at the end, and has no name before (I2)."""
    seen: list[bool] = []

    def happens() -> None:
        seen.append((root / "output/final.mp4").exists())
        {"cut": cable.cut, "dead": cable.freeze, "unplugged": cable.unplug}[fault]()
        threading.Timer(1.0, cable.mend).start()

    with tree_at(sshd.remote(root, cable.port)) as tree:
        cable.after(3 << 20, happens)
        assert tree.upload(film, P("output/final.mp4")).sha256 == SHA256
    assert seen == [False]
    assert (root / "output/final.mp4").read_bytes() == FILM
    assert [path.name for path in (root / "output").iterdir()] == ["final.mp4"]
    # There, read back, and at most what was on its way when it broke: two windows of the channel.
    assert cable.carried < 2 * len(FILM) + (5 << 20)


@pytest.mark.parametrize("fault", ["cut", "dead", "unplugged"])
def test_a_download_survives_its_link(sshd: Sshd, cable: Cable, root: Path, tmp_path: Path, fault: str) -> None:
    """The same the other way."""
    put(sshd, root / "clip.mp4", FILM)

    def happens() -> None:
        assert not (tmp_path / "clip.mp4").exists()
        {"cut": cable.cut, "dead": cable.freeze, "unplugged": cable.unplug}[fault]()
        threading.Timer(1.0, cable.mend).start()

    with tree_at(sshd.remote(root, cable.port)) as tree:
        cable.after(3 << 20, happens)
        tree.download(P("clip.mp4"), tmp_path / "clip.mp4", sha256=SHA256, size=len(FILM))
    assert (tmp_path / "clip.mp4").read_bytes() == FILM
    assert cable.carried < len(FILM) + (5 << 20)


def test_a_transfer_survives_the_server(film: Path, tmp_path: Path) -> None:
    """Killed with all its sessions in the middle of a file each way, and started again."""
    with running_sshd("Subsystem sftp internal-sftp") as sshd:
        root = sshd.folder("root")
        deaths: list[int] = []

        def kill(done: int, _: int) -> None:
            if done > len(FILM) // 2 and len(deaths) % 2 == 0:
                deaths.append(done)
                sshd.stop()
                threading.Timer(0.5, sshd.start).start()

        with tree_at(sshd.remote(root)) as tree:
            tree.upload(film, P("output/final.mp4"), kill)
            deaths.append(0)
            tree.download(P("output/final.mp4"), tmp_path / "back.mp4", sha256=SHA256, size=len(FILM), progress=kill)
        assert len(deaths) == 3
        assert (tmp_path / "back.mp4").read_bytes() == FILM


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_transfer_over_a_dead_link_ends(
    sshd: Sshd, cable: Cable, root: Path, film: Path, tmp_path: Path, way: str
) -> None:
    """As no information, within the patience; nothing has a final name, and the next one goes on."""
    put(sshd, root / "clip.mp4", FILM)
    here = tmp_path / "here"
    here.mkdir()

    def carry(tree: SftpTree) -> None:
        if way == "up":
            tree.upload(film, P("output/final.mp4"))
        else:
            tree.download(P("clip.mp4"), here / "final.mp4", sha256=SHA256, size=len(FILM))

    with tree_at(sshd.remote(root, cable.port), IMPATIENT) as tree:
        cable.after(3 << 20, cable.freeze)
        began = time.monotonic()
        with pytest.raises(NoInformation):
            carry(tree)
        assert time.monotonic() - began < 10  # the usual patience is 30 s and more
        assert not (root / "output/final.mp4").exists()
        assert not (here / "final.mp4").exists()
        cable.thaw()
        before = cable.carried
        carry(tree)
    again = len(FILM) + (len(FILM) if way == "up" else 0)
    assert cable.carried - before < again - (1 << 20)


# -- asked over a link that breaks ---------------------------------------------------------------

ASKED: dict[str, Callable[[SftpTree], object]] = {
    "entries": lambda tree: tree.entries(P("tasks")),
    "is_folder": lambda tree: tree.is_folder(P("tasks")),
    "is_there": lambda tree: tree.is_there(P("tasks/file")),
    "size": lambda tree: tree.size(P("tasks/file")),
    "read": lambda tree: tree.read(P("tasks/file")),
    "create": lambda tree: tree.create(P("tasks/new"), b"token"),
    "replace": lambda tree: tree.replace(P("tasks/file"), b"new"),
    "move": lambda tree: tree.move(P("tasks/file"), P("tasks/moved")),
    "make_folder": lambda tree: tree.make_folder(P("tasks/folder")),
    "remove": lambda tree: tree.remove(P("tasks/file")),
    "remove_tree": lambda tree: tree.remove_tree(P("tasks/file")),
    "hold": lambda tree: tree.hold(P("tasks/lock"), "node-a", "ab12"),
}


@pytest.mark.parametrize("name", ASKED)
def test_a_half_open_link_is_noticed_and_made_again(sshd: Sshd, cable: Cable, root: Path, name: str) -> None:
    """Whatever was asked for has its answer in the end."""
    put(sshd, root / "tasks/file", b"content")
    with tree_at(sshd.remote(root, cable.port)) as tree:
        tree.is_there(P("tasks"))
        cable.freeze()
        threading.Timer(0.2, cable.thaw).start()
        ASKED[name](tree)


@pytest.mark.parametrize("name", ASKED)
def test_without_a_link_nothing_is_concluded(sshd: Sshd, cable: Cable, root: Path, name: str) -> None:
    """It is told as no information, never as "not there", and soon."""
    put(sshd, root / "tasks/file", b"content")
    with tree_at(sshd.remote(root, cable.port), Patience(connect=2, reply=0.3, link=0.3)) as tree:
        tree.is_there(P("tasks"))
        cable.unplug()
        began = time.monotonic()
        with pytest.raises(NoInformation) as caught:
            ASKED[name](tree)
        assert time.monotonic() - began < 3
    assert not isinstance(caught.value, (NotThere, FileNotFoundError, FileExistsError))
    assert caught.value.everywhere
    assert "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize("fault", ["cut", "dead"])
def test_a_link_that_breaks_as_it_is_made_is_no_refusal(sshd: Sshd, cable: Cable, root: Path, fault: str) -> None:
    """Wherever in the handshake: while greeting, while keys are agreed on, while the own key is shown."""
    for amount in range(1, 6000, 1500 if fault == "dead" else 600):

        def happens() -> None:
            (cable.cut if fault == "cut" else cable.freeze)()
            threading.Timer(0.1, cable.mend).start()

        with tree_at(sshd.remote(root, cable.port), Patience(connect=0.8, reply=0.8, link=10, keep_alive=1)) as tree:
            cable.after(amount, happens)
            assert tree.is_folder(P("tasks"))


def test_a_beat_tells_a_lost_link_from_a_lost_hold(sshd: Sshd, cable: Cable, root: Path) -> None:
    """Only the second says that the task is somebody else's."""
    with tree_at(sshd.remote(root, cable.port), IMPATIENT) as tree:
        sign = tree.hold(P("tasks/lock"), "node-a", "ab12")
        cable.unplug()
        with pytest.raises(NoInformation):
            sign.beat()
        cable.plug_in()
        sign.beat()
        (root / "tasks/lock").unlink()
        with pytest.raises(NotThere):
            sign.beat()


def test_a_heartbeat_goes_on_beside_an_upload(sshd: Sshd, root: Path, film: Path) -> None:
    """Each thread has a channel of its own: no answer of one is taken for another's, and none waits for a file."""
    slowest = 0.0
    ended = threading.Event()
    with tree_at(sshd.remote(root, bytes_per_second=4 << 20)) as tree:
        sign = tree.hold(P("tasks/lock"), "node-a", "ab12")

        def beat_on() -> None:
            nonlocal slowest
            while not ended.wait(0.02):
                began = time.monotonic()
                sign.beat()
                slowest = max(slowest, time.monotonic() - began)

        thread = threading.Thread(target=beat_on)
        thread.start()
        tree.upload(film, P("output/final.mp4"))
        ended.set()
        thread.join()
    assert (root / "output/final.mp4").read_bytes() == FILM
    assert 0 < slowest < 1.5


def test_a_heartbeat_gets_through_on_a_slow_line(sshd: Sshd, cable: Cable, root: Path, tmp_path: Path) -> None:
    """No more of a file is on its way than is through in a moment, so that an answer never takes too long."""
    (tmp_path / "film.mp4").write_bytes(FILM[:400_000])
    beats: list[float] = []
    ended = threading.Event()
    with tree_at(sshd.remote(root, cable.port), Patience(connect=5, reply=3, link=3, keep_alive=1)) as tree:
        sign = tree.hold(P("tasks/lock"), "node-a", "ab12")

        def beat_on() -> None:
            while not ended.wait(0.1):
                began = time.monotonic()
                sign.beat()
                beats.append(time.monotonic() - began)

        cable.bytes_per_second = 250_000
        thread = threading.Thread(target=beat_on)
        thread.start()
        told: list[int] = []
        started = time.monotonic()
        tree.upload(tmp_path / "film.mp4", P("output/final.mp4"), lambda done, _: told.append(done))
        whole = time.monotonic() - started
        ended.set()
        thread.join()
    assert told == sorted(told), "it was not begun twice"  # it may tell of its end again while that is checked
    assert beats
    assert median(beats) < whole / 2, "they do not wait for the whole of it"


def test_a_limit_holds_for_all_threads_together(sshd: Sshd, root: Path, tmp_path: Path) -> None:
    """Two downloads share it."""
    rate = 4 << 20
    content = FILM[: 2 << 20]
    put(sshd, root / "clip.mp4", content)
    sha256 = hashlib.sha256(content).hexdigest()
    with tree_at(sshd.remote(root, bytes_per_second=rate)) as tree:
        tree.is_there(P("clip.mp4"))
        began = time.monotonic()
        threads = [
            threading.Thread(
                target=tree.download,
                args=(P("clip.mp4"), tmp_path / f"{number}.mp4"),
                kwargs={"sha256": sha256, "size": len(content)},
            )
            for number in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
    assert took > 0.9 * (2 * len(content) / rate - 0.25)
    assert all((tmp_path / f"{number}.mp4").read_bytes() == content for number in range(2))


def test_a_closed_link_says_so(sshd: Sshd, root: Path) -> None:
    """And does not come back by itself."""
    link = Link(sshd.remote(root), IMPATIENT)
    tree = SftpTree(link)
    assert tree.is_folder(P("tasks"))
    link.close()
    with pytest.raises(NoInformation, match="closed"):
        tree.is_folder(P("tasks"))


# -- who is there --------------------------------------------------------------------------------


def refusal(remote: Remote) -> str:
    began = time.monotonic()
    with tree_at(remote) as tree, pytest.raises(LinkRefused) as caught:
        tree.is_folder(P("tasks"))
    assert time.monotonic() - began < 5, "waiting does not help where somebody has to do something"
    return str(caught.value)


def test_an_unknown_host_is_refused(sshd: Sshd, root: Path, tmp_path: Path) -> None:
    """With its fingerprint and the way to make it known; nothing is written down."""
    (tmp_path / "known_hosts").write_text("")
    words = refusal(sshd.remote(root, known_hosts=tmp_path / "known_hosts"))
    assert "is not in" in words
    assert "SHA256:" in words
    assert (tmp_path / "known_hosts").read_text() == ""


def test_known_hosts_has_to_be_there(sshd: Sshd, root: Path, tmp_path: Path) -> None:
    """Its absence is not taken for an empty one."""
    words = refusal(sshd.remote(root, known_hosts=tmp_path / "nowhere"))
    assert f"Cannot read {tmp_path / 'nowhere'}" in words


def test_another_key_of_a_known_host_is_refused(sshd: Sshd, root: Path, tmp_path: Path) -> None:
    """Even where the first one may be trusted."""
    make_key(tmp_path / "other")
    hosts = tmp_path / "known_hosts"
    hosts.write_text(f"[127.0.0.1]:{sshd.port} {(tmp_path / 'other.pub').read_text()}")
    for trust_first in (False, True):
        assert "another host key" in refusal(sshd.remote(root, known_hosts=hosts, trust_first=trust_first))


def test_trust_on_first_use_is_for_the_first_use(sshd: Sshd, root: Path, tmp_path: Path) -> None:
    """The key is written down as OpenSSH does it, and holds from then on."""
    hosts = tmp_path / "new" / "known_hosts"
    with tree_at(sshd.remote(root, known_hosts=hosts, trust_first=True)) as tree:
        assert tree.is_folder(P("tasks"))
    line = hosts.read_text()
    assert line.split()[:2] == [f"[127.0.0.1]:{sshd.port}", "ssh-ed25519"]
    assert line.split()[2] == (sshd.home / "host.pub").read_text().split()[1]
    with tree_at(sshd.remote(root, known_hosts=hosts)) as tree:
        assert tree.is_folder(P("tasks"))
    assert hosts.read_text() == line


def test_a_key_that_is_not_let_in_is_told(sshd: Sshd, root: Path, tmp_path: Path) -> None:
    """As is one that is missing, and one that nobody can use without its passphrase."""
    for name, passphrase in (("stranger", ""), ("locked", "secret")):
        make_key(tmp_path / name, passphrase)
    assert "does not let" in refusal(sshd.remote(root, key=tmp_path / "stranger"))
    assert "has a passphrase" in refusal(sshd.remote(root, key=tmp_path / "locked"))
    assert "Cannot read" in refusal(sshd.remote(root, key=tmp_path / "missing"))


def test_without_key_or_agent_there_is_nothing_to_show(sshd: Sshd, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert "There is no key to show" in refusal(sshd.remote(root, key=None))


def test_a_server_without_sftp_is_told() -> None:
    """It lets us in, and that is all."""
    with running_sshd("") as sshd:
        assert "has no SFTP for us" in refusal(sshd.remote(sshd.folder("root")))


def test_an_agent_may_have_the_key(sshd: Sshd, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that no file without a passphrase has."""
    place = tmp_path / "agent"
    tools = {name: shutil.which(name) or pytest.skip(f"needs {name}") for name in ("ssh-agent", "ssh-add")}
    agent = subprocess.Popen([tools["ssh-agent"], "-D", "-a", str(place)], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
        deadline = time.monotonic() + 5
        while not place.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        subprocess.run([tools["ssh-add"], "-q", str(sshd.home / "client")], check=True)
        with tree_at(sshd.remote(root, key=None)) as tree:
            assert tree.is_folder(P("tasks"))
    finally:
        agent.kill()
        agent.wait()


# -- where it lies -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["sftp://node@farm.example", "sftp://node@farm.example:2222/srv/a%20b", "sftp://node@[::1]:22/", "sftp://n@h//x"],
)
def test_an_address_is_read(address: str) -> None:
    """Host, port, user and folder, each with its usual value."""
    found = Remote.at(address, known_hosts=Path("known_hosts"))
    expected = {
        "sftp://node@farm.example": ("node", "farm.example", 22, "/"),
        "sftp://node@farm.example:2222/srv/a%20b": ("node", "farm.example", 2222, "/srv/a b"),
        "sftp://node@[::1]:22/": ("node", "::1", 22, "/"),
        "sftp://n@h//x": ("n", "h", 22, "/x"),
    }[address]
    assert (found.user, found.host, found.port, str(found.folder)) == expected


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("sftp://node:secret@farm.example/srv", "has a password in it"),
        ("farm.example:/srv", "write it as sftp://"),
        ("ssh://node@farm.example/srv", "write it as sftp://"),
        ("sftp://farm.example/srv", "write it as sftp://"),
        ("sftp://node@farm.example:port/srv", "write it as sftp://"),
    ],
)
def test_a_bad_address_is_told(address: str, said: str) -> None:
    """And a password in one is not repeated."""
    with pytest.raises(BadAddress, match=said) as caught:
        Remote.at(address, known_hosts=Path("known_hosts"))
    assert "secret" not in str(caught.value)
