"""What a check found, and what to do where something is wrong: a command, or a key of the configuration."""

from __future__ import annotations

import shlex
from enum import Enum
from pathlib import Path
from typing import NewType

from pydantic import BaseModel, ConfigDict, Field

Advice = NewType("Advice", str)
"""A :class:`Remedy` with all that was known filled in; nothing else is told to anybody."""


class Finding(BaseModel):
    """One thing that was tried."""

    model_config = ConfigDict(frozen=True)

    name: str
    works: bool
    words: str = Field(description="What was found.")
    remedy: str = Field("", description="What to do about it, where it does not work.")
    matters: bool = Field(True, description="Whether the farm cannot do without it.")


class Remedy(Enum):
    """What to do; behind the last colon stands the command, or the line of config.toml.

    Names in braces are what the check knows. Words in capitals are for who reads it to fill in.
    """

    FFMPEG = 'The one that came with the install has all that is needed; in config.toml: ffmpeg.path = ""'
    OWN_FFMPEG = (
        "Install it again, or name another one with ffmpeg.path: "
        "{python} -m pip install --force-reinstall imageio-ffmpeg"
    )
    CODEC = 'Name another ffmpeg with ffmpeg.path, or take the codec of them all; in config.toml: render.codec = "h264"'
    MEDIAINFO = (
        "Install it again, with the system's library where it brings none: "
        "{python} -m pip install --force-reinstall pymediainfo && sudo apt-get install libmediainfo0v5"
    )
    NTP = "Have the clock set by NTP: sudo timedatectl set-ntp true"
    CLOCK = "Have the clocks of this machine and of the one with the disk set by NTP: sudo timedatectl set-ntp true"

    UNMOUNT = "Only raw/, scanned/ and assets/ may be mounts; bring what is there into the root: sudo umount {path}"
    UNLINK = "Only raw/, scanned/ and assets/ may lie elsewhere; bring it back: rm {path} && mv {target} {path}"
    WRITABLE = "It is mounted read-only: sudo mount -o remount,rw {mount}"
    OWN = "Give them to this user, or share the root by files.group (docs/sharing.md): sudo chown -R {user} {folders}"
    SHARE = (
        "Let this user into the group, and the group write (docs/sharing.md): "
        "sudo usermod -aG {group} {user} && sudo chgrp {group} {folders} && sudo chmod g+rwxs {folders}"
    )
    FILESYSTEM = (
        "Put the root on ext4, XFS, Btrfs, NFS 4 or SMB 3 (findmnt -T {root} shows what it is on), such as: "
        "sudo mount -t nfs4 -o hard SERVER:/FOLDER {root}"
    )
    LOCKS = (
        "Mount NFS 4, NFS 3 without nolock, or SMB 3 without nobrl: "
        "sudo umount {root} && sudo mount -t nfs4 -o hard SERVER:/FOLDER {root}"
    )
    EVENTS = (
        "Nothing has to be done, every drop is found within {seconds:g} s; to find them sooner, in config.toml: "
        "ingest.rescan_seconds = 1"
    )
    WATCHES = "Allow more of them: sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=1024"
    ROOM = "Make room, or lower worker.min_free_bytes; what may go at any time are conformed clips: rm -rf {segments}/*"
    LEASE = "Stop all workers and delete it; the next one writes it anew: rm {lease}"
    HEARTBEAT = "Show life more often; in config.toml: worker.heartbeat_seconds = {most:g}"
    UPDATE = "Bring this program to the version that the other boxes have (docs/upgrading.md): git pull && make install"

    STRANGER = (
        "Compare it with what ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub says on the server, then believe it: "
        "ssh-keyscan -p {port} {host} >> {known_hosts}"
    )
    OTHER_KEY = (
        "Where the server was set up anew, forget the old key and compare the new one (else leave it alone): "
        "ssh-keygen -f {known_hosts} -R {known_as} && ssh-keyscan -p {port} {host} >> {known_hosts}"
    )
    LOCKED_KEY = 'Load it into an agent, and in config.toml set remote.key = "": ssh-add {key}'
    NOT_LET_IN = (
        "On the server, the line that this prints belongs into the authorized_keys of {user} (docs/sftp.md): "
        "ssh-keygen -y -f {key}"
    )
    AGENT_NOT_LET_IN = (
        "On the server, a line that this prints belongs into the authorized_keys of {user} (docs/sftp.md): ssh-add -L"
    )
    UNREADABLE = "Let this user read them: sudo chown {own_user} {known_hosts} {key}"
    NO_KEY = (
        "Make one, add its .pub on the server (docs/sftp.md), and name it in config.toml as remote.key: "
        "ssh-keygen -t ed25519 -N '' -f {key}"
    )
    NO_SFTP = (
        "On the server, before the first Match: sudo sed -i '1i Subsystem sftp internal-sftp' /etc/ssh/sshd_config && "
        "sudo sshd -t && sudo systemctl reload ssh"
    )
    UNREACHABLE = "Look at which step it ends: ssh -v -p {port} {user}@{host}"
    NOT_A_ROOT = (
        "Give the folder with raw/, tasks/ and output/ as {user} sees it, in a jail perhaps /; a new one is made, on "
        "the server, by: reelmill init FOLDER"
    )
    FAR_RIGHTS = (
        "On the server let {user} write there (docs/sharing.md): sudo usermod -aG GROUP {user} && "
        "sudo chgrp -R GROUP FOLDER && sudo chmod -R g+rwX FOLDER"
    )
    OPENSSH = "Let OpenSSH serve the folder (docs/sftp.md); on the server: sudo apt-get install openssh-server"

    def filled(self, **known: object) -> Advice:
        """With what the check knows, spelled as the shell takes it."""
        return Advice(self.value.format(**{name: _spelled(value) for name, value in known.items()}))


def _spelled(value: object) -> object:
    if isinstance(value, list):
        return shlex.join(map(str, value))
    return shlex.quote(str(value)) if isinstance(value, str | Path) else value


def fine(name: str, words: str) -> Finding:
    return Finding(name=name, works=True, words=words)


def wrong(name: str, words: str, remedy: Advice, *, matters: bool = True) -> Finding:
    return Finding(name=name, works=False, words=words, remedy=remedy, matters=matters)
