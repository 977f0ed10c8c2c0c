"""What several tests of the command line need."""

from collections.abc import Iterator

import pytest
from commands import Terminal


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """Starts commands that have imported everything."""
    with Terminal(tmp_path_factory.mktemp("said")).opened() as one:
        yield one
