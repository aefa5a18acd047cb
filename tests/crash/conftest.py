import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make crash` asks for many more moments than `make test` does."""
    parser.addoption("--moments", type=int, default=8, help="how many random moments to kill Provost at")
