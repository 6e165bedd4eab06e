"""What a command could not do, in words for whoever typed it."""


class Failure(Exception):
    """`what` happened and where; `advice`: what to do next. The command ends with `status`."""

    status = 1

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice

    def __str__(self) -> str:
        """One line, or two."""
        return f"{self.what}\n  {self.advice}" if self.advice else self.what


class Misused(Failure):
    """The command line asks for what cannot be."""

    status = 2
