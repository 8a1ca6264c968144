"""`python -m segnet`, and `torchrun -m segnet` for several processes."""

from segnet.cli import main

if __name__ == "__main__":
    main()
