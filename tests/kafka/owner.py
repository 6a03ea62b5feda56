"""Owns one broker in the directory given, prints process ids, and waits for stdin to close.

With ``fork`` as the last argument a fork of the owner stays beside it; its id is printed too.
"""

import os
import signal
import sys
from pathlib import Path

from consumers.aot import ensure_runtime
from consumers.broker import BrokerProcess
from consumers.broker_node import BrokerNode


def main() -> None:
    directory, port, controller_port, *rest = sys.argv[1:]
    node = BrokerNode(data_dir=Path(directory), port=int(port), controller_port=int(controller_port))
    with BrokerProcess(node, ensure_runtime()) as broker:
        forks = [os.fork()] if rest == ["fork"] else []
        if forks == [0]:
            signal.pause()
        sys.stdout.write(" ".join(map(str, [*broker.pids, *forks])) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
