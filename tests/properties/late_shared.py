"""Classes and rates of pairs in lives of many accounts: some of a time of which lines are recorded already.

Of a pair that has a class or rates of its own, no later than a minute ago: then lines of that minute are reached.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import grpc

from tests.previewing import posted
from tests.properties import late_boundary as boundary
from tests.properties.late_facts import SharedFact
from tests.properties.late_lives import PAIRS, LateLives, reason_of
from tests.properties.late_orders import MAKER_RATES, TAKER_RATES, Step
from tests.properties.notebook import DAY_NS, FOR_EVER
from tests.properties.reckoner import CLASSLESS

MINUTE_NS = 60 * 10**9  # that "from now on" may lie back


def share(lives: LateLives) -> None:
    """A first class of a pair, of any time; or a class or rates of a pair, of the last minute or of a time to come."""
    random, classified = lives.random, {name for what, name, _ in lives.reckoner.dated() if what == "class"}
    waiting = sorted(CLASSLESS.keys() - classified)
    if waiting and random.random() < 0.4:
        from_ns = min(lives.any_ns(random.choice(list(lives.reckoner.accounts.values()))), lives.now_ns)
        come(lives, classify(lives, random.choice(waiting), random.choice("ABC"), from_ns), meanwhile=lives.trade)
    if random.random() < 0.5:
        name = random.choice(PAIRS)
        trade_now(lives, name)
        back_ns = random.randrange(MINUTE_NS)
        from_ns = lives.now_ns - back_ns if random.random() < 0.8 else lives.now_ns + random.randrange(2 * DAY_NS)
        if random.random() < 0.3:
            shared = classify(lives, name, random.choice("ABC"), from_ns)
        else:
            shared = price(lives, name, (random.choice(MAKER_RATES), random.choice(TAKER_RATES)), from_ns)
        come(lives, shared, meanwhile=lives.trade)


def trade_now(lives: LateLives, name: str) -> None:
    """Some accounts trade a pair within half a minute."""
    chosen = [account_id for account_id in lives.reckoner.accounts if lives.random.random() < 0.15]
    first_ns = lives.now_ns
    lives.move_to(first_ns + MINUTE_NS // 2)
    times = {account_id: lives.random.randrange(first_ns, lives.now_ns) for account_id in chosen}
    lives.send(
        [(account_id, lives.any_trade(account_id, symbol=name, at_ns=at_ns)) for account_id, at_ns in times.items()]
    )


def take(lives: LateLives, step: Step) -> SharedFact | None:
    """A step of an order; None: it is refused."""
    values = dict(step.values)
    give = classify if step.what == "class" else price
    shared = give(lives, values["symbol"], values["is"], values["from_ns"])
    come(lives, shared)
    return shared


def classify(lives: LateLives, name: str, pair_class: str, from_ns: int) -> SharedFact | None:
    """AssignPairClass."""
    order = boundary.classifying(lives.ledger, name, pair_class, from_ns)
    return _share(lives, order, "class", {"symbol": name, "from_ns": from_ns, "is": pair_class})


def price(lives: LateLives, name: str, rates: tuple[str, str], from_ns: int) -> SharedFact | None:
    """SetPairRates; without any it takes them away."""
    order = boundary.pricing(lives.ledger, name, rates, from_ns)
    return _share(lives, order, "rates", {"symbol": name, "from_ns": from_ns, "is": rates})


def _share(lives: LateLives, order: tuple[Any, Any], what: str, values: dict[str, Any]) -> SharedFact | None:
    """Have it recorded, after a preview; None: it is refused."""
    stub, request = order
    preview = boundary.foresee(stub, request)
    preview.exception()
    try:
        position = stub(request).receipt.position
    except grpc.RpcError as error:
        lives.outcomes[what, reason_of(error)] += 1
        found, expected = preview.exception() and reason_of(preview.exception()), reason_of(error)
        if found != expected:
            lives.differences.append(("", "preview of a shared fact", expected, found))
        return None
    lives.outcomes[what, ""] += 1
    lives.foreseen.append((position, preview.result().receipt.preview))
    return lives.reckoner.share(position, what, values)


def preview_differences(lives: LateLives) -> list[tuple[Any, ...]]:
    """Where previews told otherwise what commits after a class, rates or a release would post in each account.

    Of an account whose lines are being restated they tell nothing.
    """
    boundary.await_repricings(lives.ledger)
    log, found = lives.ledger.log, []
    adjusted = list(log.adjustments(from_ns=0, as_of_ns=FOR_EVER, until=log.head().position))
    for position, preview in lives.foreseen:
        request = log.at(position).envelope.request_id
        expected = posted(each for each in adjusted if each.envelope.request_id == request)[1]
        told = {(one.account_id, one.currency): Fraction(one.amount) for one in preview.later.differences}
        if preview.HasField("later") and not preview.later.complete:
            named = {account_id for account_id, _ in told}
            expected = {key: amount for key, amount in expected.items() if key[0] in named}
        if told != expected:
            found.append(("", f"preview of what was recorded at {position}", expected, told))
    return found


def come(lives: LateLives, shared: SharedFact | None, meanwhile: Callable[[], None] | None = None) -> None:
    """Wait until a fact that the programme itself releases has come to all accounts; `meanwhile` something happens."""
    if shared is not None and shared.is_released_at_once:
        bring(lives, shared, meanwhile)


def bring(lives: LateLives, shared: SharedFact, meanwhile: Callable[[], None] | None = None) -> None:
    """Wait until a shared fact that is released has come to all accounts, and note that."""
    if meanwhile:
        meanwhile()
    lives.reckoner.bring(shared, boundary.await_releases(lives.ledger))


def rule(lives: LateLives, shared: SharedFact, *, releases: bool, meanwhile: Callable[[], None] | None = None) -> None:
    """Two persons release a shared fact to all accounts, or decline it."""
    ruling = boundary.releasing if releases else boundary.declining
    stub, request = ruling(lives.ledger, "", shared.position)
    preview = boundary.foresee(stub, request).result().receipt.preview
    position = int(stub(request).receipt.position)
    lives.foreseen.append((position, preview))
    if releases:
        bring(lives, shared, meanwhile)
    else:
        shared.declined = position


def rule_any(lives: LateLives) -> None:
    """Two persons may decide about a shared fact that is withheld."""
    listed = sorted(boundary.withheld_from_all(lives.ledger))
    if listed and lives.random.random() < 0.6:
        position = lives.random.choice(listed)
        (shared,) = (one for one in lives.reckoner.shared if one.position == position)
        rule(lives, shared, releases=lives.random.random() < 0.7, meanwhile=lives.trade)
