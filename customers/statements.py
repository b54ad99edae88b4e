"""SQL that is a text of its own: files of named statements, each with its why above it (style 6).

A statement begins at a line `-- name: words` and ends before the next. Its parameters are bound,
`%(name)s`; it is never put together from pieces.
"""

from __future__ import annotations

import re
from pathlib import Path

NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def read_statements(path: Path) -> dict[str, str]:
    """The statements of a `.sql` file by their names."""
    _heading, *parts = NAME.split(path.read_text(encoding="utf-8"))
    return dict(zip(parts[::2], parts[1::2], strict=True))
