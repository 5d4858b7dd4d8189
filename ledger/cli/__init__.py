"""The command line `fee-ledger`: what people ask and order from a shell.

A subcommand is declared once, above the function that does it, in the group that the help shows it in. An RPC that no
subcommand calls has one that follows from the contract. `GROUPS` have those that call a running ledger.
"""

from ledger.cli import fills, health, matches  # noqa: F401 - they add subcommands to ORDER, ASK and MEMBERS
from ledger.cli.derived import derive
from ledger.cli.errors import UnusableError, ended
from ledger.cli.members import MEMBERS
from ledger.cli.orders import ORDER
from ledger.cli.oversight import OVERSIGHT
from ledger.cli.pairs import PAIRS
from ledger.cli.program import SHELL, program, run
from ledger.cli.queries import ASK
from ledger.cli.rewards import REWARDS
from ledger.cli.subcommands import Group, Options, argument

GROUPS = (ASK, ORDER, MEMBERS, REWARDS, PAIRS, OVERSIGHT)
derive({
    "QueryService": ASK,
    "CommandService": ORDER,
    "FillService": ORDER,
    "MemberService": MEMBERS,
    "MemberQueryService": MEMBERS,
    "RewardService": REWARDS,
    "ProgrammeService": PAIRS,
    "EvaluationService": OVERSIGHT,
    "ControlService": OVERSIGHT,
})  # fmt: skip

__all__ = ["GROUPS", "SHELL", "Group", "Options", "UnusableError", "argument", "ended", "program", "run"]
