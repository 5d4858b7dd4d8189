"""What people decide about facts that are withheld, and versions of the programme that decide otherwise."""

from __future__ import annotations

from random import Random

import grpc

from tests.properties import late_boundary as boundary
from tests.properties.late_facts import CAUSES, LateAccount
from tests.properties.late_lives import HOUR_NS, LateLives, reason_of, refused_at

SWITCHES = ("adjust", "credit_only", "propose", "keep")


def any_switches(random: Random) -> dict[str, str]:
    """One for each cause."""
    return dict(zip(CAUSES, random.choices(SWITCHES, k=len(CAUSES)), strict=True))


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
        for account in lives.reckoner.accounts.values():
            if any(fact.is_undecided(lives.settled[-1]) for fact in account.facts) and self.random.random() < 0.5:
                self.rule(lives, account)

    def publish(self, lives: LateLives) -> None:
        """Another version, from in an hour on, which passes."""
        self.version += 1
        switches, from_ns = any_switches(self.random), lives.now_ns + HOUR_NS
        boundary.publish(lives.ledger, f"3.0.{self.version}", switches, from_ns)
        lives.reckoner.switches.append((from_ns, switches))
        lives.move_to(from_ns + HOUR_NS)

    def rule(self, lives: LateLives, account: LateAccount) -> None:
        """Release or decline a fact that is withheld, unless a flag does that."""
        listed = {at: fact for at in boundary.withheld(lives.ledger, account.account_id) if (fact := account.fact(at))}
        ruled = [at for at, fact in sorted(listed.items()) if not fact.held]
        if not ruled:
            return
        self.ruled += 1
        position = self.random.choice(ruled)
        try:
            if self.random.random() < 0.7:
                account.release(boundary.release(lives.ledger, account.account_id, position), listed[position])
            else:
                listed[position].declined = boundary.decline(lives.ledger, account.account_id, position)
        except grpc.RpcError as error:
            account.decided(refused_at(error), "nothing")
            self.refused.append(reason_of(error))
