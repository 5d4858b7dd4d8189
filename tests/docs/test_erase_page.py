"""docs/operations/erase.md: what its statements erase is what the page says, and no more."""

from __future__ import annotations

import re

import psycopg

from tests.conftest import Ledger
from tests.docs.pages import ROOT
from tests.samples import batch, fill, symbol
from tests.server.calls import send
from tests.server.orders import register

PAGE = (ROOT / "docs/operations/erase.md").read_text()


def test_each_statement_erases_what_the_page_says(ledger: Ledger, dsn: str, schema: str) -> None:
    def given(account_id: str, ticket: str) -> int:
        by = {"actor": "ops-1", "ticket": ticket}
        return int(send(ledger, register(account_id, authority=by)).receipt.position)

    send(ledger, symbol())
    tickets = {name: given(name, ticket) for name, ticket in (("alice", "T-1"), ("bob", "T-19"), ("carol", "AT-19"))}
    runs = {}
    for name in ("alice", "alice-2", "bob"):
        sent = batch(fill(account_id=name, cl_ord_id="T-19"))
        runs[name] = int(ledger.fills.RecordFills(sent).position)
    ids, decisions, ticket, vacuum = re.findall(r"```sql\n(.*?)```", PAGE, flags=re.DOTALL)
    with psycopg.connect(dsn, autocommit=True) as connection:

        def erased(text: str) -> list[int]:
            return [position for (position,) in connection.execute(text.replace("ledger.", f"{schema}."))]

        assert erased(ids) == [runs["alice"]]
        assert erased(decisions) == [tickets["alice"]]
        assert erased(ticket) == [tickets["bob"], tickets["bob"] + 1], "the link to an owner has it, too"
        connection.execute(vacuum.replace("ledger.", f"{schema}."))
        left = connection.execute(f"SELECT position FROM {schema}.erasable_parts ORDER BY position".encode()).fetchall()
    links = [tickets["alice"] + 1, tickets["carol"] + 1]
    assert [position for (position,) in left] == sorted([*links, tickets["carol"], runs["alice-2"], runs["bob"]])
