"""The order of findings that come by account."""

from __future__ import annotations

from random import Random

from projections.controls.scope import Finding, beginnings
from projections.searches import Found, _in_order

SEED = 20_261_130


def test_findings_by_account_are_told_in_the_order_of_their_ids_from_any_place_on() -> None:
    """Names of accounts may begin names of others, and go on with what comes before a slash, or after it."""
    random = Random(SEED)
    for number in range(300):
        names = sorted({"".join(random.choices("a-.b:", k=random.randint(1, 5))) for _ in range(12)})
        by_account = [
            Found("benefits-ending", Finding(f"{name}/{grant}", "", name))
            for name in names
            for grant in random.sample(("g1", "g2"), random.randint(0, 2))
        ]
        expected = sorted(by_account, key=lambda one: one.finding.subject)
        assert list(_in_order(by_account)) == expected, number
        for place, last in enumerate(expected, 1):
            account_id = last.finding.account_id
            first = [one for name in beginnings(account_id) for one in by_account if one.finding.account_id == name]
            read = [*first, *(one for one in by_account if one.finding.account_id >= account_id)]
            assert [one for one in _in_order(read) if one.place > last.place] == expected[place:], (number, last)
