import sys

from cluster import bootstrap

if __name__ == "__main__":
    bootstrap.enter("tests")
    from tests.house.runner import main

    sys.exit(main(sys.argv[1:]))
