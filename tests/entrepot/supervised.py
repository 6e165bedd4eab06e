"""A program: a supervisor over the stand-ins that a JSON file describes."""

import json
import sys
from pathlib import Path

from common import logs
from entrepot.address import Address
from entrepot.child import ChildSpec
from entrepot.probe import Probe
from entrepot.supervisor import Supervisor


def main(table: Path) -> int:
    logs.set_up("debug", "json")
    wanted = json.loads(table.read_text())
    probe = Probe(Address("127.0.0.1", wanted["port"])) if wanted["port"] else None
    supervisor = Supervisor(
        [ChildSpec(name, tuple(command), stage) for name, command, stage in wanted["children"]],
        drain=wanted["drain"],
        probe=probe,
        on_ready=lambda: logs.get(__name__).info("ready"),
    )
    return supervisor.run()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
