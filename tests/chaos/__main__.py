"""`python -m tests.chaos`: a run of any length; exit status 0 when its ledger balances."""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from tests.chaos.conductor import Conductor
from tests.chaos.disturbances import Disturbances
from tests.chaos.ledger import Ledger
from tests.chaos.plan import Plan, short
from tests.chaos.queues import Broker, Embedded, QueueMode
from tests.parts import rabbit_choice


def main() -> int:
    """Run as told on the command line."""
    arguments = _parse()
    plan = Plan(arguments.queue, arguments.seed)
    if arguments.short:
        plan = short(arguments.queue, arguments.seed)
    if arguments.minutes is not None:
        plan = replace(plan, seconds=arguments.minutes * 60)
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="entrepot-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    ledger = _run(plan, folder)
    (folder / "report.txt").write_text(f"{ledger.as_text()}\n")
    (folder / "report.json").write_text(ledger.as_json())
    sys.stdout.write(f"{ledger.as_text()}\nReports, logs and storage are in {folder}\n")
    return 0 if ledger.balances else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, help="how long faults go on (20)")
    parser.add_argument("--queue", choices=["embedded", "rabbitmq"], default="embedded")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="the run that the tests do")
    parser.add_argument("--folder", type=Path, help="where to work; else a new temporary folder")
    return parser.parse_args()


def _run(plan: Plan, folder: Path) -> Ledger:
    disturbances = Disturbances()
    with ExitStack() as stack:
        queue: QueueMode = Embedded(folder / "root")
        if plan.queue == "rabbitmq":
            rabbit, _ = rabbit_choice.choose(folder / "rabbit")
            stack.callback(rabbit.close)
            url = stack.enter_context(rabbit.fresh_vhost())
            queue = Broker(rabbit, url, disturbances)
        return Conductor(plan, folder, queue, disturbances).run()


if __name__ == "__main__":
    sys.exit(main())
