"""Where the command begins: it can be ended before it has loaded what it is made of."""

from __future__ import annotations

from service.first_process import end_at_sigterm


def main() -> None:
    """Run the command; the entry point of the distribution."""
    end_at_sigterm()
    from service.cli import main as command  # noqa: PLC0415 - takes most of a second

    command()


if __name__ == "__main__":
    main()
