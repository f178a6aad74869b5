import os
import sys

if __name__ == "__main__":
    if not __package__:
        # Run by its path, it finds neither its own package nor all of the standard library.
        root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        sys.exit("raftcoord: run it as `python3 -m cluster` in " + root)

    from cluster import bootstrap

    bootstrap.enter("runtime")
    from cluster.main import main

    sys.exit(main(sys.argv[1:]))
