"""scripts.torture: a few trials of it, and that its verdict is not blind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ledger.client import Acknowledgement, Client
from scripts.torture.__main__ import main
from scripts.torture.faults import FAULTS
from scripts.torture.fills import Journal, content, journal, message
from scripts.torture.history import History
from scripts.torture.reckoner import reckon
from scripts.torture.trial import prepare
from scripts.torture.verdict import Verdict
from tests.conftest import Ledger
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
SHORT = ("--trials", "1", "--seed", "3", "--fills", "300", "--silent-ms", "1500")
PROXIED = [name for name, fault in FAULTS.items() if not (fault.networks or fault.disk)]  # on the same two services
BUSY_S = 15  # more than on a machine that has nothing else to do: there `python -m scripts.torture` holds the bars
SEED, FILLS = 5, 300
TRIAL, SOURCE = "t5", "t5-rows"


def torture(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.torture", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


def test_whatever_is_killed_every_fill_is_recorded_once_at_its_fee() -> None:
    done = torture("--trials", "3", "--seed", "105", "--fills", "500")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    table = {line[:30].strip(): line[30:].strip() for line in done.stdout.splitlines()}
    assert [table[name] for name in ("trials", "fills", "missing", "twice", "wrong")] == ["3", "3,000", "0", "0", "0"]
    assert sum(int(times) for name, times in table.items() if name.startswith("fault: ")) >= 3


@pytest.mark.parametrize("together", [PROXIED, ["vanish"], ["full disk"]], ids=", ".join)
def test_whatever_fault_a_ledger_with_a_standby_meets_nothing_is_missing_twice_wrong_or_stale(
    together: list[str], tmp_path: Path
) -> None:
    results = tmp_path / "results.jsonl"
    command = ["--faults", ",".join(together), "--results", str(results), *SHORT]
    done = torture(*command)
    if unable := [line for line in done.stdout.splitlines() if "NOT DONE" in line]:
        pytest.skip(unable[0])
    assert done.stderr == ""
    trials = list(journal(results))
    assert [trial["faults"] for trial in trials] == [{name: 1} for name in together], done.stdout
    for trial in trials:
        assert [trial[name] for name in ("missing", "twice", "wrong", "stale", "ahead")] == [0] * 5, done.stdout
        assert trial["compared"] > 100
        within_s = FAULTS[trial["trial"]].writes_again_s_max + BUSY_S
        assert trial["writes_again_s"] < within_s, done.stdout
    again = torture(*command)
    assert again.stdout.splitlines()[0].split() == ["trials", str(len(together))], "they were done twice"


@pytest.mark.parametrize("arguments", [("--trials", "0"), ("--seed", "x"), ("--trial", "1"), ("--faults", "flood")])
def test_unusable_arguments_are_one_line_and_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(arguments)
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)


def test_results_that_cannot_be_written_are_one_line_and_2() -> None:
    done = torture("--results", "/")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


# -- the history


def test_an_answer_before_what_anybody_was_told_is_stale() -> None:
    history = History("", "")
    history.acknowledge(7)
    before = history.before()
    history.compare(before, 7, "one")
    history.acknowledge(8)
    assert history.findings == []  # 8 was acknowledged while it was asked
    history.compare(before, 6, "other")
    history.compare(history.before(), 9, "one")
    history.compare(history.before(), 8, "other")
    assert history.findings == [
        "other says 6 is the present, and 7 had been acknowledged before it was asked",
        "other says 8 is the present, and 9 had been answered before it was asked",
    ]
    assert (history.compared, history.stale) == (4, 2)


def test_an_answer_that_the_log_does_not_have_is_ahead(ledger: Ledger, dsn: str, schema: str) -> None:
    with Client(ledger.address) as client:
        head = client.get_ledger_info().position
    with History(dsn, schema) as history:
        for position in (head, head + 1):
            history.compare(history.before(), position, "one")
            two_more = history.looks + 2
            wait_for(lambda enough=two_more: history.looks >= enough)
    assert (history.ahead, history.stale) == (1, 0)
    assert history.findings == [f"{head + 1} was answered as the present, and the log is at {head}"]


# -- the verdict

Change = Callable[[Any], None]


class Tampered:
    """The queries of a ledger, with answers that somebody has changed."""

    def __init__(self, queries: Any, method: str, change: Change) -> None:
        self._queries = queries
        self._method = method
        self._change = change

    def __getattr__(self, method: str) -> Any:
        return partial(self._ask, method)

    def _ask(self, method: str, request: Any, **options: Any) -> Any:
        answer = getattr(self._queries, method)(request, **options)
        if method == self._method:
            self._change(answer)
        return answer


class Played:
    """A source's fills in a ledger, and the journals of who sent them."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self.queries = ledger.queries
        self.folder = folder
        self.sent, self.acked = Journal(folder / f"{SOURCE}.sent"), Journal(folder / f"{SOURCE}.acked")
        prepare(ledger.address, TRIAL)
        fills = [content(SEED, TRIAL, SOURCE, number) for number in range(1, FILLS + 1)]
        self.sent.write(*({"number": number, **fill} for number, fill in enumerate(fills, 1)))
        with Client(ledger.address) as client:
            with client.fill_stream(SOURCE, batch_fills=50, on_ack=self._note) as stream:
                stream.send_all(map(message, fills))
            self.position = client.position

    def _note(self, ack: Acknowledgement) -> None:
        entry = {"first": ack.first_sequence, "last": ack.last_sequence, "position": ack.position, "fees": {}}
        refused = {fill.sequence: fill.reason for fill in ack.refused}
        self.acked.write({**entry, "recorded_time_ns": ack.recorded_time_ns, "refused": refused})

    def verdict(self, *, fills: int = FILLS, tampered: tuple[str, Change] | None = None) -> Verdict:
        sources = {SOURCE: fills}
        queries = Tampered(self.queries, *tampered) if tampered else self.queries
        verdict = Verdict(queries, TRIAL, reckon(self.folder, sources))
        verdict.reach(self.folder, sources, 0)
        return verdict


@pytest.fixture
def played(ledger: Ledger, tmp_path: Path) -> Played:
    return Played(ledger, tmp_path)


def test_a_ledger_that_is_right_is_found_so_with_everything_read(played: Played) -> None:
    verdict = played.verdict()
    assert (verdict.findings, verdict.position) == ([], played.position)


def test_a_fill_that_the_ledger_does_not_have_is_missing(played: Played) -> None:
    fill = {**content(SEED, TRIAL, SOURCE, 1), "exec_id": "lost"}
    played.sent.write({"number": FILLS + 1, **fill})
    verdict = played.verdict(fills=FILLS + 1)
    assert verdict.missing == 1
    assert f"{(SOURCE, FILLS + 1)} is missing" in verdict.findings


def test_two_fills_under_one_number_are_found(played: Played) -> None:
    fill = {**content(SEED, TRIAL, SOURCE, 1), "last_px": "2"}
    played.sent.write({"number": 1, **fill})
    assert played.verdict().findings == [f"{SOURCE} sent two fills under 1"]


def test_a_fill_that_comes_again_with_its_price_written_otherwise_is_the_same_fill(tmp_path: Path) -> None:
    fill = {**content(SEED, TRIAL, SOURCE, 1), "last_px": "1.5", "last_qty": "2", "side": 1, "symbol": "TA_USDT"}
    prices = ["1.5", "1.5000", "1.6"]
    entries = [{"number": number, **fill, "last_px": price} for number, price in enumerate(prices, 1)]
    Journal(tmp_path / f"{SOURCE}.sent").write(*entries)
    reckoned = reckon(tmp_path, {SOURCE: 3})
    assert (set(reckoned.lines), reckoned.again, set(reckoned.refused)) == ({(SOURCE, 1)}, {(SOURCE, 2)}, {(SOURCE, 3)})


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"position": 1}, "was acknowledged at 1, recorded at"),
        ({"recorded_time_ns": 1}, "was acknowledged before it was recorded"),
        ({"refused": {"1": 4}}, "was acknowledged as refused for 4"),
        ({"fees": {"1": "0.123"}}, "was acknowledged with a fee of 0.123"),
    ],
)
def test_an_acknowledgement_that_was_not_kept_is_found(played: Played, changed: dict[str, Any], says: str) -> None:
    true = {"first": 1, "last": 1, "position": played.position, "recorded_time_ns": 2**62, "refused": {}, "fees": {}}
    played.acked.write({**true, **changed})
    (finding,) = played.verdict().findings
    assert says in finding


def lose_a_line(page: Any) -> None:
    if page.lines:
        del page.lines[0]


def repeat_a_line(page: Any) -> None:
    page.lines.extend(page.lines[:1])


def change_a_fee(page: Any) -> None:
    page.lines[0].fee_amount = "0.5"


def change_a_notional(page: Any) -> None:
    page.lines[0].notional = "0.5"


def change_a_total(page: Any) -> None:
    page.totals[0].rebates = "-0.5"


def lose_an_event(page: Any) -> None:
    del page.events[len(page.events) // 2]


def change_running_totals(page: Any) -> None:
    event = next(event for event in page.events if event.topic == "VolumeRecorded")
    event.state = event.state.replace(b"USDT", b"USDX").replace(b"BTC", b"BTX")


@pytest.mark.parametrize(
    ("method", "change", "says"),
    [
        ("ListFeeHistory", lose_a_line, "is missing"),
        ("ListFeeHistory", repeat_a_line, "stands twice"),
        ("ListFeeHistory", change_a_fee, "at a fee of 0.5, must be"),
        ("ListFeeHistory", change_a_notional, "is 0.5 at a fee of"),
        ("ListFeeHistory", change_a_total, "totals of"),
        ("ListEvents", lose_an_event, "is followed by"),
        ("ListEvents", change_running_totals, "running totals at position"),
    ],
)
def test_a_ledger_that_is_wrong_is_found(played: Played, method: str, change: Change, says: str) -> None:
    assert any(says in finding for finding in played.verdict(tampered=(method, change)).findings)
