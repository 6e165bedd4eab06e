"""What is wrong with a configuration, and what is only worth saying."""

from common.config.tree import Items, Node, Table
from common.errors import ConfigError, ConfigProblem

Path = tuple[str, ...]


class Findings:
    """Collects problems and warnings, each with its key and where that was written."""

    def __init__(self, file: str) -> None:
        self.problems: list[ConfigProblem] = []
        self.warnings: list[str] = []
        self._file = file
        self._root: Node = Table({}, file)

    def look_at(self, root: Node) -> None:
        """From now on, keys are looked up in `root`."""
        self._root = root

    def wrong(self, path: Path, expected: str, origin: str | None = None) -> None:
        """A problem at `path`, written at `origin`; by default where the tree says it was."""
        source = origin or self._origin(path)
        self.problems.append(ConfigProblem(source, ".".join(path), expected))

    def warn(self, path: Path, text: str) -> None:
        """A warning about what stands at `path`."""
        self.warnings.append(f"{self._origin(path)}: {'.'.join(path)}: {text}")

    def warn_about(self, variable: str, text: str) -> None:
        """A warning about an environment variable."""
        self.warnings.append(f"{variable}: {text}")

    def known(self, path: Path) -> bool:
        """Whether a problem at `path` or below was told already."""
        key = ".".join(path)
        return any(f"{problem.key}.".startswith(f"{key}.") for problem in self.problems)

    def is_written(self, path: Path) -> bool:
        """Whether something stands at `path`."""
        node = self._at(path)
        return node is not None and not node.is_empty

    def stop_if_wrong(self) -> None:
        """Raise ConfigError with every problem there is, if there is one."""
        if self.problems:
            raise ConfigError(self.problems)

    def _origin(self, path: Path) -> str:
        # What is not written at all is missing from the nearest section that is.
        for length in range(len(path), 0, -1):
            if node := self._at(path[:length]):
                return node.origin
        return self._file

    def _at(self, path: Path) -> Node | None:
        node: Node | None = self._root
        for name in path:
            node = node and _child(node, name)
        return node


def _child(node: Node, name: str) -> Node | None:
    if isinstance(node, Table):
        return node.entries.get(name)
    if isinstance(node, Items) and name.isdecimal() and int(name) < len(node.items):
        return node.items[int(name)]
    return None
