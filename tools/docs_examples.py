"""Shows the `Example:` sections of docstrings as code with its output: mkdocstrings only knows them as `Examples:`."""

import re
from typing import Any

from griffe import Extension, Object


class Examples(Extension):
    """Renames the sections while the pages are built; the sources stay as they are."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called for every module, class, function and attribute once it is read."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^(\s*)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
