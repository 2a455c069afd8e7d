"""Whose fault it is that an address cannot be had: machines without a network, and name servers of all tempers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

# Fetches in a network of its own, where the one name server is this very process, or nobody.
_FETCH = """
import json, socket, sys, threading
from main_worker.links.fetch import fetch
from shared.settings import Links
from shared.domain.errors import DropRefused, MachineTrouble

address, rcode, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

def answer():
    while True:
        asked, client = server.recvfrom(512)
        if rcode != "silent":
            server.sendto(asked[:2] + bytes((0x81, 0x80 | int(rcode))) + asked[4:6] + bytes(6) + asked[12:], client)

if rcode != "none":
    server.bind(("127.0.0.1", 53))
    threading.Thread(target=answer, daemon=True).start()
try:
    fetch(address, Links(retries=1, retry_seconds=0, timeout_seconds=seconds), lambda: False)
except DropRefused as refused:
    print(json.dumps(["refused", refused.rejection.code, refused.rejection.sentence]))
except MachineTrouble as trouble:
    print(json.dumps(["put off", trouble.everywhere, str(trouble)]))
"""
_ALONE = """
printf 'nameserver 127.0.0.1\noptions attempts:1\n' > "$0" && printf 'hosts: files dns\n' > "$0.switch" &&
mount --bind "$0" /etc/resolv.conf && mount --bind "$0.switch" /etc/nsswitch.conf && ip link set lo up && exec "$@"
"""
FOR_EVER, SHORT = "60", "2"
"""Seconds: longer than a name server is waited for, and shorter."""


@pytest.fixture
def fetch_alone(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that fetches on a machine which has no network but its own loopback."""
    missing = [tool for tool in ("unshare", "mount", "ip") if shutil.which(tool) is None]
    if sys.platform != "linux" or missing:
        pytest.skip(f"needs Linux with unshare, mount and ip (missing: {', '.join(missing) or 'Linux'})")
    resolver = tmp_path_factory.mktemp("resolver") / "resolv.conf"
    command = ["unshare", "-n", "-m", "sh", "-c", _ALONE, str(resolver)]
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"a machine without a network cannot be had here: {tried.stderr.strip()}")
    return [*command, sys.executable, "-c", _FETCH]


@pytest.mark.parametrize(
    ("address", "server", "seconds", "words"),
    [
        ("http://stories.example/", "none", FOR_EVER, "cannot be looked up from this machine: Temporary failure"),
        ("http://stories.example/", "2", FOR_EVER, "cannot be looked up from this machine: Temporary failure"),
        ("http://stories.example/", "silent", SHORT, "cannot be looked up: no name server answered within 2 seconds"),
        ("http://9.9.9.9/", "none", FOR_EVER, "cannot be reached from this machine: Network is unreachable"),
        ("https://[2001:4860::1]/", "none", FOR_EVER, "cannot be reached from this machine: Network is unreachable"),
    ],
    ids=["nobody to ask", "server failure", "silence", "no route", "no route over TLS"],
)
def test_a_machine_without_a_network_refuses_no_address(
    fetch_alone: list[str], address: str, server: str, seconds: str, words: str
) -> None:
    """The link file waits until there is one; other drops go on."""
    command = [*fetch_alone, address, server, seconds]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    what, everywhere, told = json.loads(ended.stdout)
    assert (what, everywhere) == ("put off", False)
    assert told.startswith(f"the address '{address}' {words}")


def test_a_name_that_a_server_knows_not_to_exist_is_refused(fetch_alone: list[str]) -> None:
    """That is the address's fault, and its owner is told."""
    command = [*fetch_alone, "http://stories.example/", "3", FOR_EVER]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr
    what, code, sentence = json.loads(ended.stdout)
    assert (what, code) == ("refused", "link_failed")
    assert "its host name is not known (tried 2 times)" in sentence
