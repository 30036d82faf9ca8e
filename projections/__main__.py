"""`python -m projections` is `costledger`."""

from projections.cli import main

main()
