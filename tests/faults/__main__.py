"""Throws many faults and prints a table: `python -m tests.faults COUNT [SEED] [JOB ...]`."""

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run; return 1 where anything was found."""
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.path.insert(0, str(ROOT))
    from landslide_plugin.worker import register_package

    register_package()
    from landslide_mapper.landslide_plugin.answer import find_command
    from landslide_mapper.landslide_plugin.contract.commands import COMMANDS

    for command in COMMANDS:  # in this process, so that the forked ones need not
        find_command(command)
    from .campaign import Campaign

    count, seed, *names = [*sys.argv[1:], *["1000", "0"][len(sys.argv) - 1 :]]
    with tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(Path(folder), int(seed))
        with campaign.disk():
            campaign.prepare(names)
            result = campaign.run(int(count))
    print(result.table())
    print(*result.findings, sep="\n")
    return 1 if result.findings else 0


if __name__ == "__main__":
    sys.exit(main())
