"""What a node of a root behind SFTP needs: a server that is the one, lets it in, and keeps what the farm relies on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from console.box import room, set_by_ntp, tools
from console.checkup import rules
from console.finding import Advice, Finding, Remedy, fine, wrong
from console.options import user_name
from shared.config import Config
from shared.domain.layout import Layout
from shared.far_root import farm_config
from shared.records.lease import LeaseRecord
from shared.store import Store
from shared.tree.hosts import LinkRefused, Refusal
from shared.tree.link import Link, Patience
from shared.tree.remote import Remote
from shared.tree.sftp import SftpTree
from shared.tree.tree import NoInformation
from shared.tree.trial import Findings, NotARoot, look_at

_PATIENCE = Patience(link=5.0)  # who asks what is wrong does not wait for a server to come back
_NEW_KEY = Path("~/.ssh/reelmill")

_REFUSALS = {
    Refusal.STRANGER: Remedy.STRANGER,
    Refusal.OTHER_KEY: Remedy.OTHER_KEY,
    Refusal.LOCKED_KEY: Remedy.LOCKED_KEY,
    Refusal.NOT_LET_IN: Remedy.NOT_LET_IN,
    Refusal.UNREADABLE: Remedy.UNREADABLE,
    Refusal.NO_KEY: Remedy.NO_KEY,
    Refusal.NO_SFTP: Remedy.NO_SFTP,
}


@dataclass(frozen=True)
class FarCheckup:
    """A box that reaches its root over SFTP.

    Attributes:
        layout: of the home, where it keeps what it fetched.
        config: its own.
    """

    layout: Layout
    config: Config
    remote: Remote

    def findings(self) -> Iterator[Finding]:
        """Try everything; what is made at the server for that is removed again."""
        config = self.config
        with closing(Link(self.remote, _PATIENCE)) as link:
            server = tuple(self._server(link))
            yield from server
            if all(one.works or not one.matters for one in server):
                store = Store(self.layout, SftpTree(link))
                config = farm_config(store, self.config)
                yield self._lease(store, config)
        yield from tools(config)
        yield from set_by_ntp()
        yield room(self.layout, config)

    def _server(self, link: Link) -> Iterator[Finding]:
        remote = self.remote
        try:
            found = look_at(link, f"doctor-{self.config.worker.node or self.layout.root.name}")
        except LinkRefused as error:
            yield wrong("server", str(error), remedy_of(error.why, remote))
            return
        except NoInformation as error:
            remedy = Remedy.UNREACHABLE.filled(port=remote.port, user=remote.user, host=remote.host)
            yield wrong("server", str(error), remedy)
            return
        except NotARoot as error:
            yield wrong("project root", str(error), Remedy.NOT_A_ROOT.filled(user=remote.user))
            return
        except OSError as error:
            yield wrong("writing", str(error), Remedy.FAR_RIGHTS.filled(user=remote.user))
            return
        yield fine("server", f"{remote} has the host key of {remote.known_hosts}, and lets this user in")
        for name, trouble in found.troubles.items():
            yield wrong(name, trouble, Remedy.OPENSSH.filled()) if trouble else fine(name, "as it must be")
        if found.offers:
            yield from _gifts(found.offers)

    def _lease(self, store: Store, config: Config) -> Finding:
        place = store.at(self.layout.lease)
        there = Path(self.remote.folder / place)
        return rules(lambda: LeaseRecord.from_bytes(store.tree.read(place), str(there)), there, config)


def remedy_of(why: Refusal, remote: Remote) -> Advice:
    """What to do where there is no link."""
    remedy = _REFUSALS[why]
    if why is Refusal.NOT_LET_IN and not remote.key:
        remedy = Remedy.AGENT_NOT_LET_IN
    return remedy.filled(
        host=remote.host,
        port=remote.port,
        user=remote.user,
        known_hosts=remote.known_hosts,
        known_as=remote.known_as,
        key=remote.key or _NEW_KEY.expanduser(),
        own_user=user_name(),
    )


def _gifts(offers: Findings) -> Iterator[Finding]:
    """What a server may be without."""
    yield fine(
        "speed",
        f"it answers within {1000 * offers.answer_seconds:.0f} ms, and lists what others make within "
        f"{offers.stale_seconds:.1f} s",
    )
    for name, has, words in (
        ("durable files", offers.durable, "power that it loses may take what was acknowledged"),
        ("whole files", offers.links, "a new file may be seen growing"),
    ):
        remedy = Remedy.OPENSSH.filled()
        yield fine(name, "as it should be") if has else wrong(name, words, remedy, matters=False)
    yield fine(
        "uploads checked",
        "by a hash that the server counts" if offers.hashes else "by reading them back, which carries them twice",
    )
