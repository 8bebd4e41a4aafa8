"""run.py STATE BUILD FILE TEST - run one function of a file in a system of its own; what it prints is the story it tells"""
import importlib.util
import os
import signal
import sys

from host import Failure, Host

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def first_line(path):
    with open(path) as file:
        return file.readline().strip()


def main():
    state, build, source, name = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    reason = os.path.join(state, "skipped")
    if os.path.exists(reason):
        print(first_line(reason))
        sys.exit(77)

    spec = importlib.util.spec_from_file_location("test", source)
    test = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(test)
    layers = first_line(os.path.join(state, "bare" if getattr(test, "BARE", False) else "installed")).split(":")
    binds = [(state, "/test/state"), (os.path.join(build, "bin"), "/test/bin"), (TREE, "/test/tree")]
    try:
        with Host(layers, os.path.join(state, "root"), binds) as host:
            getattr(test, name)(host)
    except Failure as failure:
        print(f"\nFAILED: {failure}")
        sys.exit(1)


if __name__ == "__main__":
    main()
