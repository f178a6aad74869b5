import sys

from cluster import bootstrap

if __name__ == "__main__":
    bootstrap.enter("runtime")
    from bench.main import main

    sys.exit(main(sys.argv[1:]))
