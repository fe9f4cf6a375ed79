"""Run a command that ends when its starter ends, even if that is killed.

    python guard.py STARTER SIGNAL IDENTITY COMMAND …

STARTER is the process id of the starter, SIGNAL the number that the kernel sends when it is gone.
IDENTITY is `same`, `namespace` (root becomes user 1000 in a user namespace; files keep their
owner) or `nobody`: PostgreSQL refuses to run as root. Elsewhere than on Linux there is no such
signal; the next start then ends what the last one left.
"""

import ctypes
import os
import pwd
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000


def become(identity: str) -> None:
    """Take on the identity; raises OSError where the machine does not let us."""
    if identity == "namespace":
        uid, gid = os.geteuid(), os.getegid()
        _call("unshare", CLONE_NEWUSER)
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"1000 {uid} 1"),
            ("gid_map", f"1000 {gid} 1"),
        ):
            Path(f"/proc/self/{name}").write_text(text)
    elif identity == "nobody":
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)


def end_with(starter: int, signal: int) -> None:
    """Ask the kernel for the signal at the starter's death; end now if it is dead already."""
    if not sys.platform.startswith("linux"):
        return
    _call("prctl", PR_SET_PDEATHSIG, signal)
    if os.getppid() != starter:
        sys.exit("The process that started this one is gone.")


def _call(name: str, *arguments: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


if __name__ == "__main__":
    # The identity first: the kernel forgets the signal when the identity changes.
    become(sys.argv[3])
    end_with(int(sys.argv[1]), int(sys.argv[2]))
    os.execvp(sys.argv[4], sys.argv[4:])
