"""The examples that need Node, each installed once; without Node, or a registry, their tests are skipped."""

from __future__ import annotations

import pytest

from tests.examples import Example, install


@pytest.fixture(scope="session")
def node_client(tmp_path_factory: pytest.TempPathFactory) -> Example:
    return install("node-client", tmp_path_factory.mktemp("examples"))


@pytest.fixture(scope="session")
def node_order_book(tmp_path_factory: pytest.TempPathFactory) -> Example:
    return install("node-order-book", tmp_path_factory.mktemp("examples"))
