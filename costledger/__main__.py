"""`python -m costledger` is `costledger`."""

from costledger import main

if __name__ == "__main__":
    main()
