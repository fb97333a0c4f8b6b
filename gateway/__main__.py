"""`python -m gateway` is `sftp-gateway`."""

from gateway.cli import main

if __name__ == "__main__":
    main()
