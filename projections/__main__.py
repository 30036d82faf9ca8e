"""`python -m projections` is `costledger`."""

from projections.cli import main

if __name__ == "__main__":
    main()
