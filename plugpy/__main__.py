"""`python -m plugpy` is the command `plugpy`."""

from plugpy.cli import main

if __name__ == "__main__":
    main()
