"""What people decide about facts that are withheld, and versions of the programme that decide otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from ledger.v1.command_service_pb2 import ReleaseFactResponse
from tests.conftest import Ledger
from tests.properties import late_boundary as boundary
from tests.properties.late_facts import CAUSES, PACKAGED, REFUSED, Fact, LateAccount, LateReckoner
from tests.properties.late_lives import HOUR_NS, LateLives, reason_of, refused_at
from tests.server.calls import CALL_S_MAX

SWITCHES = ("adjust", "credit_only", "propose", "keep")


def any_switches(random: Random) -> dict[str, str]:
    """One for each cause."""
    return dict(zip(CAUSES, random.choices(SWITCHES, k=len(CAUSES)), strict=True))


def begun(ledger: Ledger, seed: int, names: Sequence[str], switches: dict[str, str]) -> LateLives:
    """A ledger with such switches, and no fact as yet."""
    lives = LateLives(ledger, seed, LateReckoner({name: name for name in names}, PACKAGED))
    lives.prepare()
    boundary.publish(ledger, "3.0.0", switches, lives.now_ns + HOUR_NS)
    lives.reckoner.switches.append((lives.now_ns + HOUR_NS, switches))
    lives.move_to(lives.now_ns + 2 * HOUR_NS)
    lives.settle()
    return lives


class Rulings:
    """Releases and declines at random, and now and then another version."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.version = 0
        self.ruled = 0
        self.refused: list[str] = []

    def __call__(self, lives: LateLives) -> None:
        if self.random.random() < 0.3:
            self.publish(lives)
        self.rule_some(lives, 0.5)

    def publish(self, lives: LateLives) -> None:
        """Another version, from in an hour on, which passes."""
        self.version += 1
        switches, from_ns = any_switches(self.random), lives.now_ns + HOUR_NS
        boundary.publish(lives.ledger, f"3.0.{self.version}", switches, from_ns)
        lives.reckoner.switches.append((from_ns, switches))
        lives.move_to(from_ns + HOUR_NS)

    def rule_some(self, lives: LateLives, share: float) -> None:
        """Release or decline a withheld fact of such a share of the accounts that have one, all at once."""
        ledger, said = lives.ledger, list[tuple[LateAccount, Fact, Any, Any]]()
        for account, at in self._chosen(lives, share):
            ruling = boundary.releasing if self.random.random() < 0.7 else boundary.declining
            said.append((account, account.fact(at), *ruling(ledger, account.account_id, at)))  # type: ignore[arg-type]
        previews = [boundary.foresee(stub, request) for *_, stub, request in said]
        for preview in previews:
            preview.exception(CALL_S_MAX)
        answers = [stub.future(request) for *_, stub, request in said]
        for (account, fact, *_), preview, answer in zip(said, previews, answers, strict=True):
            self._note(lives, account, fact, preview, answer)

    def _chosen(self, lives: LateLives, share: float) -> Iterator[tuple[LateAccount, int]]:
        """Accounts, and the position of a fact of each that is withheld and not by a flag."""
        listed = boundary.all_withheld(lives.ledger)
        for account in lives.reckoner.accounts.values():
            facts = {at: fact for at in listed[account.account_id] if (fact := account.fact(at))}
            ruled = [at for at, fact in sorted(facts.items()) if not fact.held]
            if ruled and self.random.random() < share:
                yield account, self.random.choice(ruled)

    def _note(self, lives: LateLives, account: LateAccount, fact: Fact, preview: Any, answer: Any) -> None:
        """Note a ruling, and compare what was foreseen of it."""
        self.ruled += 1
        if (error := answer.exception(CALL_S_MAX)) is not None:
            account.decided(refused_at(error), REFUSED)
            self.refused.append(reason_of(error))
            return
        position = answer.result().receipt.position
        if isinstance(answer.result(), ReleaseFactResponse):
            account.release(position, fact)
        else:
            fact.declined = position
        expected, found = account.posted(position), boundary.differences(preview.result())
        if expected != found:
            lives.differences.append((account.account_id, "preview of a ruling", expected, found))
