"""Node names: one living worker each."""

from __future__ import annotations

import platform

import pytest

from render_worker.identity import node_identity
from shared.domain.errors import RootError
from shared.domain.layout import Layout


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
