"""The benchmark: entrepot beside docker-registry, nginx and the upstream itself.

    python -m bench [--rows KEY…] [--growth KEY…] [--rounds N] [--quick] [--million]
                    [--out FOLDER] [--docs PAGE] [--list]

Runs from the checkout, with what `make test` installs and Debian's wrk, nginx and docker-registry;
growth needs haproxy and rabbitmq-server too. docs/performance.md says what is measured and how.
Some 15 minutes; nothing else should run meanwhile.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from bench import engine, growth, machine, parties
from bench.effort import FULL, QUICK, Effort
from bench.report import Report
from bench.slow import allow_connections

_NONE = "none"


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 1 when something that is needed is not installed, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    effort = _effort(options)
    keys = [row.key for row in engine.all_rows(effort)]
    if options.list:
        print("rows:  ", *keys)
        print("growth:", *growth.KINDS)
        return 0
    for word in {*options.rows, *options.growth} - {*keys, *growth.KINDS, _NONE}:
        print(f"no such row or growth: {word}", file=sys.stderr)
        return 2
    allow_connections()
    try:
        parties.find_programs()
    except parties.Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    report = _measure(options, effort)
    print()
    print(report.markdown(""))
    report.write(options.out)
    if options.docs:
        report.write_docs(options.docs)
    return 0


def _measure(options: argparse.Namespace, effort: Effort) -> Report:
    def tell(text: str) -> None:
        print(text, flush=True)

    found = machine.look()
    for line in found.lines():
        tell(line)
    rounds = options.rounds or (1 if options.quick else 5)
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        # With rows chosen growth is left out, and the other way round, unless both are.
        rows = [_NONE] if options.growth and not options.rows else options.rows
        kinds = [_NONE] if options.rows and not options.growth else options.growth
        results = engine.run(effort, Path(folder), rounds=rounds, only=rows, tell=tell)
        # The rows took long; what is to come may fail.
        Report(found, rounds, results, []).write(options.out)
        growths = growth.run(effort, Path(folder), only=kinds, tell=tell)
    return Report(found, rounds, results, growths)


def _effort(options: argparse.Namespace) -> Effort:
    effort = QUICK if options.quick else FULL
    return Effort(effort.seconds, effort.divisor, million=options.million)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--rows", nargs="+", default=[], metavar="KEY", help="these rows only")
    add("--growth", nargs="+", default=[], metavar="KEY", help="these kinds of growth only")
    add("--rounds", type=int, default=0, help="samples of each row (5)")
    add("--quick", action="store_true", help="small and short: does it run at all")
    add(
        "--million", action="store_true", help="a million blobs too: 15 GB and a quarter of an hour"
    )
    add("--out", type=Path, default=Path("bench-results"), help="where to write (bench-results)")
    add("--docs", type=Path, help="a page whose figures are replaced")
    add("--list", action="store_true", help="the keys of rows and growth")
    return parser


if __name__ == "__main__":
    sys.exit(main())
