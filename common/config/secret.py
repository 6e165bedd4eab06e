"""Values that are used, and never shown, or not whole."""

import re
from urllib.parse import urlsplit

MASK = "***"


class Secret:
    """A password; text, logs and errors show `***`, only `reveal` gives it away.

    Falsy when there is none.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that sends it."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __str__(self) -> str:
        return MASK if self._value else ""

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"


class WebAddress:
    """An http or https address that may hold a secret, in its query or before its host.

    Text, logs and errors show the rest of it; only `reveal` gives the secret away. Falsy when
    there is none.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The whole address, for the one place that connects to it."""
        return self._value

    @property
    def host(self) -> str:
        """The host it names, with its port where one is written."""
        return urlsplit(self._value).netloc.rpartition("@")[2]

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WebAddress) and other._value == self._value

    def __hash__(self) -> int:
        return hash((WebAddress, self._value))

    def __str__(self) -> str:
        without_account = re.sub(r"//[^/?#]*@", f"//{MASK}@", self._value)
        return re.sub(r"\?.*", f"?{MASK}", without_account)

    def __repr__(self) -> str:
        return f"WebAddress({str(self)!r})"
