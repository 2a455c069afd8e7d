"""Node names: one living worker each."""

from __future__ import annotations

import platform
import threading
import time

import pytest

from render_worker.identity import counts_elsewhere, node_identity
from shared.domain.errors import RootError
from shared.domain.layout import Layout
from shared.records.node import NodeRecord
from shared.store import Store


@pytest.fixture
def host() -> str:
    """This host's name as it stands in node names."""
    return "".join(char if char.isalnum() or char in "._-" else "_" for char in platform.node())


def test_workers_without_a_configured_name_are_numbered(farm: Layout, host: str) -> None:
    """The first worker of a host has its name, every further one a number behind it."""
    with node_identity(farm, "") as one, node_identity(farm, "") as two, node_identity(farm, "") as three:
        assert [one, two, three] == [host, f"{host}-2", f"{host}-3"]


def test_a_name_is_free_again_when_its_worker_has_gone(farm: Layout, host: str) -> None:
    """The lowest free number is taken, also where a lock file was left behind."""
    with node_identity(farm, ""), node_identity(farm, ""):
        pass
    with node_identity(farm, "") as again:
        assert again == host
    assert farm.node_lock(f"{host}-2").exists()


def test_a_configured_name_is_taken_as_it_is(farm: Layout) -> None:
    """A configured name gets no number."""
    with node_identity(farm, "studio") as name:
        assert name == "studio"


def test_a_configured_name_in_use_is_refused(farm: Layout) -> None:
    """Two workers must not share a configured name; the second is told which setting to change."""
    with node_identity(farm, "studio"), pytest.raises(RootError, match=r'"studio" is in use.*set worker\.node'):
        node_identity(farm, "studio").__enter__()


def test_a_refused_worker_does_not_free_the_name(farm: Layout) -> None:
    """Trying in vain leaves the holder's lock as it is."""
    with node_identity(farm, "studio"):
        for _ in range(2):
            with pytest.raises(RootError):
                node_identity(farm, "studio").__enter__()


def test_roots_do_not_know_each_others_names(farm: Layout, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same name can be in use on two roots."""
    other = Layout(tmp_path_factory.mktemp("other"))
    other.nodes.mkdir(parents=True)
    with node_identity(farm, "studio") as one, node_identity(other, "studio") as two:
        assert one == two


@pytest.mark.parametrize("lives", [True, False])
def test_a_name_that_counts_on_another_host_is_taken(farm: Layout, lives: bool) -> None:
    """There is no lock that both know; the record of a node that lives goes on counting, one of the dead does not."""
    ended = threading.Event()

    def beat() -> None:
        counter = 0
        while not ended.is_set():
            counter += lives
            NodeRecord(
                node="studio", host="elsewhere", pid=1, program="", state="idle", updated_at="", counter=counter
            ).write(farm.node_record("studio"))
            ended.wait(0.1)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        while not farm.node_record("studio").exists():
            time.sleep(0.01)
        assert counts_elsewhere(Store(farm), "studio", 1.0) is lives
        assert not counts_elsewhere(Store(farm), "attic", 1.0)
    finally:
        ended.set()
        thread.join()


def test_a_name_in_use_elsewhere_is_refused_or_numbered(farm: Layout, host: str) -> None:
    """The configured one is refused, and its lock let go; the host's gets the next number."""
    with pytest.raises(RootError, match='"studio" is in use'):
        node_identity(farm, "studio", lambda name: name == "studio").__enter__()
    with node_identity(farm, "studio") as name:
        assert name == "studio"
    with node_identity(farm, "", lambda name: name == host) as name:
        assert name == f"{host}-2"
