"""What is run, for how long, and how often what fails."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """One chaos run. Times in seconds; the same seed gives the same goods and the same schedule."""

    queue: str = "embedded"
    seed: int = 1
    seconds: float = 1200.0
    frontends: int = 3
    fetchers: int = 3
    janitors: int = 2
    shoppers: int = 8
    repositories: int = 40
    images: int = 5
    """In each repository, each with a tag of its own; one more tag moves among them."""
    layers: int = 60
    """They are shared by all images."""
    largest: int = 6_000_000
    """Bytes of the largest layer."""
    room: float = 0.7
    """The share of all content that `janitor.maxsize` leaves room for."""
    ttl: float = 20.0
    lease: float = 4.0
    patience: float = 25.0
    sweep_interval: float = 15.0
    gap: tuple[float, float] = (0.8, 3.2)
    """Between two deeds."""
    longest_stop: float = 30.0
    """A stopped process stays so for up to this long: many leases, and longer than any patience."""
    outage: tuple[float, float] = (1.0, 8.0)
    """How long a broker or the upstream is away."""
    trouble: float = 0.12
    """The share of requests that the upstream fails."""
    longest_rest: int = 6
    """Seconds for which an upstream's 429 asks to be left alone, at most."""
    calm: float = 40.0
    """After the last fault, pulls go on for this long."""


def short(queue: str, seed: int) -> Plan:
    """A run that fits into a test."""
    return Plan(
        queue=queue,
        seed=seed,
        seconds=12.0,
        frontends=2,
        fetchers=2,
        janitors=1,
        shoppers=4,
        repositories=8,
        images=3,
        layers=16,
        largest=1_500_000,
        ttl=5.0,
        lease=2.0,
        patience=15.0,
        sweep_interval=3.0,
        gap=(0.3, 1.2),
        longest_stop=5.0,
        outage=(0.5, 2.0),
        longest_rest=1,
        calm=3.0,
    )
