"""What set-up steps hinge on, as one hash: a start that finds it unchanged skips them."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent
LOCKS = (BASE / "package-lock.json", BASE / "requirements" / "dev.txt", BASE / "requirements" / "prod.txt")


def mark_static() -> str:
    """Mark every static file of ours, and the locks that fix everybody else's."""
    return mark_files([*find_files("static"), *LOCKS])


def mark_setup(postgres: Path) -> str:
    """Mark what `manage.py prepare` makes: migrations, static files, and the cluster it made them for."""
    version = (postgres / "PG_VERSION").stat()
    cluster = f"{version.st_ino} {version.st_mtime_ns}"
    return mark_files([*find_files("migrations"), *find_files("static"), *LOCKS], cluster)


def find_files(folder: str) -> list[Path]:
    """Find the files in folders of this name at the top and in the apps, compiled ones left out."""
    folders = [BASE / folder, *BASE.glob(f"[a-z]*/{folder}")]
    return [
        path
        for found in folders
        if "node_modules" not in found.parts
        for path in found.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    ]


def mark_files(paths: Iterable[Path], *words: str) -> str:
    mark = hashlib.sha256("\0".join(words).encode())
    for path in sorted(set(paths)):
        mark.update(f"{path.relative_to(BASE)}\0".encode())
        mark.update(path.read_bytes())
    return mark.hexdigest()
