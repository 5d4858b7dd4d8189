"""The services of the contract on a server."""

from __future__ import annotations

import pytest

from ledger.config import Config
from ledger.server.calls import Calls
from ledger.server.services import add_services
from projections.answers.findings import list_controls


def test_a_service_that_lacks_an_answer_is_not_served_and_the_rpc_is_named() -> None:
    with pytest.raises(AssertionError, match="ControlService lacks an answer of ListFindings, ListSoloActions"):
        add_services(Calls(Config()), {"ListControls": list_controls})
