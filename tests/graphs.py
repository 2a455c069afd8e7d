"""Filter graphs as ffmpeg-python spells them, written so that a filter more or less does not change every line."""

from __future__ import annotations

import re
from itertools import count


def numbered(*chains: str) -> str:
    """Chains of filters such as ``[0:V:0]fps=30 | split=2[film][few]``, with all links numbered as they first come."""
    between, numbers = count(), dict[str, str]()

    def link(name: re.Match[str]) -> str:
        return f"[{numbers.setdefault(name[1], f's{len(numbers)}')}]"

    graph = re.sub(r" \| ", lambda _: "[between{0}];[between{0}]".format(next(between)), ";".join(chains))
    return re.sub(r"\[([a-z]\w*)\]", link, graph)
