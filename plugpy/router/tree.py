"""The segment tree: which endpoints a path could reach, without asking each.

A node stands for a position in the path; text leads to a child by a dict, a variable that is a
whole segment by one edge, variables with a prefix or suffix by dicts of their texts. Every node is
visited at most once per request, whatever the path, so no path can make the search explode.
"""

from collections.abc import Sequence
from typing import Any

from plugpy.router.endpoint import Endpoint

NEVER = 1 << 60
"""An index behind all endpoints."""


class Node:
    """A node. leaf: endpoints of paths that end here. globs: endpoints that take the rest here.

    first: the least index of all endpoints at and below the node.
    fast: method -> the endpoint of a path that ends here, where no earlier one can match it.
    fallback: method -> the glob endpoint of a path that leads nowhere from here, likewise.
    """

    __slots__ = (
        "affixes",
        "child",
        "children",
        "fallback",
        "fast",
        "first",
        "globs",
        "leaf",
        "variable",
    )

    def __init__(self) -> None:
        self.children: dict[str, Node] = {}
        # PERF: the bound method, 10 ns less per segment.
        self.child = self.children.get
        self.variable: Node | None = None
        self.affixes: dict[tuple[int, int], dict[tuple[str, str], Node]] = {}
        self.leaf: list[Endpoint] = []
        self.globs: list[Endpoint] = []
        self.first = NEVER
        self.fast: dict[str, Endpoint] = {}
        self.fallback: dict[str, Endpoint] = {}

    def add(self, endpoint: Endpoint) -> None:
        """Put an endpoint in its place below this node, the root."""
        node = self._enter("", endpoint)
        for segment in endpoint.route.spec.segments:
            if segment.name is None:
                node = node._enter(segment.prefix, endpoint)
                continue
            if segment.plain:
                if node.variable is None:
                    node.variable = Node()
                node = node.variable
            else:
                lengths = (len(segment.prefix), len(segment.suffix))
                texts = node.affixes.setdefault(lengths, {})
                node = texts.setdefault((segment.prefix, segment.suffix), Node())
            node.first = min(node.first, endpoint.index)
        (node.globs if endpoint.route.spec.glob is not None else node.leaf).append(endpoint)

    def _enter(self, text: str, endpoint: Endpoint) -> "Node":
        child = self.children.get(text)
        if child is None:
            child = self.children[text] = Node()
        child.first = min(child.first, endpoint.index)
        return child

    def freeze(self, methods: Sequence[str]) -> None:
        """Fill `fast` and `fallback` of all nodes; `methods`: those worth an entry.

        The straight way of a request prefers text to variables at each node. An entry is made
        where no endpoint off that way, or a glob on it, comes earlier.
        """
        self._freeze(methods, NEVER, {})

    def _freeze(self, methods: Sequence[str], bound: int, globs: dict[str, Endpoint]) -> None:
        for endpoint in self.globs:
            for method in methods:
                best = globs.get(method)
                if _serves(endpoint, method) and (best is None or endpoint.index < best.index):
                    globs = {**globs, method: endpoint}
        for method in methods if self.leaf or globs else ():
            candidates = [endpoint for endpoint in self.leaf if _serves(endpoint, method)]
            if method in globs:
                candidates.append(globs[method])
            best = min(candidates, key=_index, default=None)
            if best is not None and best.index < bound:
                self.fast[method] = best
        nodes = [node for texts in self.affixes.values() for node in texts.values()]
        aside = min([bound, *(node.first for node in nodes)])
        self.fallback = {name: glob for name, glob in globs.items() if glob.index < aside}
        beside = min(aside, self.variable.first if self.variable is not None else NEVER)
        for child in self.children.values():
            child._freeze(methods, beside, globs)
        if self.variable is not None:
            self.variable._freeze(methods, aside, globs)
        # Nodes behind affixes are off the straight way: only `candidates` reaches them.

    def candidates(self, segments: Sequence[str]) -> list[Endpoint]:
        """All endpoints whose pattern fits the segments, in the order of their definition."""
        found: list[Endpoint] = []
        count = len(segments)
        stack: list[tuple[Node, int]] = [(self, 0)]
        while stack:
            node, position = stack.pop()
            if node.globs:
                found += node.globs
            if position == count:
                found += node.leaf
                continue
            segment = segments[position]
            position += 1
            child = node.child(segment)
            if child is not None:
                stack.append((child, position))
            if node.variable is not None:
                stack.append((node.variable, position))
            for (before, after), texts in node.affixes.items():
                end = len(segment) - after
                if end > before:
                    child = texts.get((segment[:before], segment[end:]))
                    if child is not None:
                        stack.append((child, position))
        found.sort(key=_index)
        return found


def _index(endpoint: Endpoint) -> Any:
    return endpoint.index


def _serves(endpoint: Endpoint, method: str) -> bool:
    return endpoint.methods is None or method in endpoint.methods
