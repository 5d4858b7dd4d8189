"""A report as one HTML page that needs nothing else: no network, no script, light and dark."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

from ledger.cli.errors import UnusableError
from ledger.tools.reconcile.chart import days_chart
from ledger.tools.reconcile.kinds import KINDS
from ledger.tools.reconcile.report import Report
from ledger.tools.reconcile.totals import DIMENSIONS

_STYLE: Final = Path(__file__).with_name("page.css")
_BREAKS_SHOWN: Final = 100  # of a kind
_TOTALS_SHOWN: Final = 40  # of a dimension
_RESOLVED_SHOWN: Final = 100
_CURRENCIES_SHOWN: Final = 4
_TICK: Final = (
    '<svg viewBox="0 0 64 64" aria-hidden="true"><circle cx="32" cy="32" r="28"/><path d="M19 33l9 9 17-19"/></svg>'
)


def write_page(report: Report, path: Path) -> None:
    """Write the page; the file is there once it is whole. Raises UnusableError."""
    new = path.with_name(path.name + ".new")
    try:
        new.write_text("".join(_page(report)))
        new.replace(path)
    except OSError as error:
        raise UnusableError(f"{path} cannot be written: {error.strerror}") from error


def _page(report: Report) -> Iterable[str]:
    title = (
        "Engine and ledger agree" if report.agrees else f"{_counted(report.breaks, 'break')} between engine and ledger"
    )
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}</title><style>{_STYLE.read_text()}</style></head><body><main>"
    yield from _header(report, title)
    yield from _cards(report)
    yield from _agreement(report) if report.agrees else _kinds(report)
    yield from _days(report)
    for kind, count in report.counts.items():
        yield from _breaks(report, kind, count)
    yield from _totals(report)
    yield from _resolved(report)
    yield from _not_compared(report)
    yield from _footer(report)
    yield "</main></body></html>\n"


def _header(report: Report, title: str) -> Iterable[str]:
    files = ", ".join(os.path.basename(name) for name in report.files.names)
    yield f"<header><h1>{title}</h1><p>{escape(files)} against {escape(report.run.ledger_id)}, {report.period} UTC,"
    yield f" as the ledger knew it at position {report.run.position}</p></header>"


def _cards(report: Report) -> Iterable[str]:
    status = report.status
    cards = [
        (f"{report.engine_fills:,}", "fills of the engine", ""),
        (f"{report.ledger_fills:,}", "fills in the ledger", ""),
        (f"{report.breaks:,}", "breaks", "good" if report.agrees else "bad"),
    ]
    if report.run.state:
        cards.append(
            (f"{status['NEW']:,} new", f"{status['KNOWN']:,} known, {status['RESOLVED']:,} resolved since", "")
        )
    yield '<div class="cards">'
    yield from (
        f'<div class="card"><b class="{kind}">{escape(value)}</b><span>{name}</span></div>'
        for value, name, kind in cards
    )
    yield from _fee_card(report)
    yield "</div>"


def _fee_card(report: Report) -> Iterable[str]:
    """What the engine charged more or less than the ledger."""
    rows = report.totals_of("currency")
    if rows:
        yield '<div class="card"><b class="lines">'
        for row in rows[:_CURRENCIES_SHOWN]:
            style = "good" if row["difference_fee"] == "0" else "bad"
            yield f'<span class="{style}">{_grouped(row["difference_fee"])} {escape(row["currency"])}</span>'
        yield "</b><span>fees, engine less ledger</span></div>"


def _agreement(report: Report) -> Iterable[str]:
    compared = "there is nothing on either side" if not report.engine_fills else "each field that the engine says"
    yield f'<section class="agree">{_TICK}<div><h2>All {report.engine_fills:,} fills agree</h2>'
    yield f'<p class="soft">No fill is missing, too many or different: {compared}, to the last decimal'
    yield f"{' but the tolerances' if report.run.terms.tolerances else ''}.</p></div></section>"


def _kinds(report: Report) -> Iterable[str]:
    most = max(report.counts.values())
    rows = [
        (
            f'<a href="#{kind}">{kind}</a>',
            f"{count:,}",
            f'<i style="width:{100 * count / most:.1f}%"></i>',
            KINDS[kind],
        )
        for kind, count in report.counts.items()
    ]
    yield "<section><h2>What differs</h2>"
    yield from _table((("", "kind"), ("n", "breaks"), ("share", ""), ("wide", "what it means")), rows)
    yield "</section>"


def _days(report: Report) -> Iterable[str]:
    days = report.by_day()
    if days:
        yield '<section><h2>Day by day</h2><div class="key"><span><i class="engine"></i>fills of the engine</span>'
        yield '<span><i class="ledger"></i>fills in the ledger</span><span><i class="breaks"></i>breaks</span></div>'
        yield days_chart(days)
        yield "</section>"


def _breaks(report: Report, kind: str, count: int) -> Iterable[str]:
    yield f'<section id="{kind}"><h2>{kind} <span class="soft">{count:,}</span></h2><p class="note">{KINDS[kind]}</p>'
    rows = list(report.rows(kind, _BREAKS_SHOWN))
    heads = [("status", "status"), ("fill", "fill")]
    shown = [(name, style) for name, style in (("engine", "e"), ("ledger", "l")) if any(row[name] for row in rows)]
    heads += [(style, f"the {name} says") for name, style in shown]
    with_difference = any(row["difference"] for row in rows)
    heads += [("n", "difference")] * with_difference + [("where", "where")]
    yield from _table(heads, [_break_row(row, [name for name, _ in shown], with_difference) for row in rows])
    if count > _BREAKS_SHOWN:
        yield f'<p class="note">and {count - _BREAKS_SHOWN:,} more: --out csv has every one</p>'
    yield "</section>"


def _break_row(row: dict[str, Any], shown: Sequence[str], with_difference: bool) -> tuple[str, ...]:
    status = row["status"]
    since = "" if status == "NEW" else f'<div class="sub">since {row["first_seen"][:10]}</div>'
    fill = f"{escape(row['exec_id'] or '')} of {escape(row['account_id'] or '')}"
    rest = ", ".join(filter(None, (row["day"], row["symbol"], row["venue"])))
    sides = dict(zip(("engine", "ledger"), _marked(row["engine"], row["ledger"]), strict=True))
    difference = ""
    if row["difference"]:
        difference = f"{escape(_grouped(row['difference']))} {escape(row['currency'] or '')}"
        if row["tolerance"] and row["tolerance"] != "0":
            difference += f'<div class="sub">tolerance {row["tolerance"]}</div>'
    line = "" if row["ledger_position"] is None else f"log {row['ledger_position']}:{row['ledger_line']}"
    where = "<br>".join(filter(None, (escape(row["engine_place"] or ""), line)))
    return (
        f'<span class="{status}">{status.lower()}</span>{since}',
        f'{fill}<div class="sub">{escape(rest)}</div><code>{row["id"].rpartition("-")[2]}</code>',
        *(sides[name] for name in shown),
        *([difference] if with_difference else []),
        f'<span class="sub">{where}</span>',
    )


def _marked(engine: str | None, ledger: str | None) -> tuple[str, str]:
    """Both sides as HTML, with the part marked in which they differ."""
    if engine is None or ledger is None:
        return escape(engine or "-").replace("; ", "<br>"), escape(ledger or "-").replace("; ", "<br>")
    pairs = enumerate(zip(engine, ledger, strict=False))
    same = next((place for place, pair in pairs if len(set(pair)) > 1), min(len(engine), len(ledger)))
    return tuple(f"{escape(side[:same])}<mark>{escape(side[same:])}</mark>" for side in (engine, ledger))  # type: ignore[return-value]


def _totals(report: Report) -> Iterable[str]:
    heads = (
        *(("", ""), ("", "currency"), ("n", "fills"), ("n", "volume"), ("n", "difference"), ("n", "fees")),
        ("n", "difference"),
    )
    yield '<section><h2>Control totals</h2><div class="key"><span><i class="engine"></i>engine</span>'
    yield '<span><i class="ledger"></i>ledger</span></div><p class="note">Every fill of the period as it stands,'
    yield " without tolerance. Fills and volume by the currency they are quoted in, fees by their own.</p>"
    for dimension in DIMENSIONS:
        rows, differing = report.totals.get(dimension, (0, 0))
        if not rows:
            continue
        found = report.totals_of(dimension, limit=_TOTALS_SHOWN)
        told = f"all {rows:,} agree" if not differing else f"{differing:,} of {rows:,} differ"
        heads_of = heads[1:] if dimension == "currency" else heads
        shown = "open" if differing or dimension == "currency" else ""
        yield f"<details {shown}><summary>by {dimension}: {told}</summary>"
        yield from _table(heads_of, [_total_row(row, with_key=dimension != "currency") for row in found])
        if rows > _TOTALS_SHOWN:
            yield f'<p class="note">and {rows - _TOTALS_SHOWN:,} more: --out json has every one</p>'
        yield "</details>"
    yield "</section>"


def _total_row(row: dict[str, Any], *, with_key: bool) -> tuple[str, ...]:
    cells = [escape(row["currency"]), _both(row, "fills")]
    for what in ("volume", "fee"):
        cells += [_both(row, what), _difference(row[f"difference_{what}"])]
    return (*([escape(row["key"])] if with_key else []), *cells)


def _both(row: dict[str, Any], what: str) -> str:
    """The engine's sum above the ledger's, or one where they are equal."""
    engine, ledger = (_grouped(str(row[f"{side}_{what}"])) for side in ("engine", "ledger"))
    if engine == ledger:
        return engine
    return f'<span class="engine">{engine}</span><br><span class="ledger">{ledger}</span>'


def _difference(text: str) -> str:
    return '<span class="soft">0</span>' if text == "0" else f'<span class="bad">{_grouped(text)}</span>'


def _resolved(report: Report) -> Iterable[str]:
    if not report.status["RESOLVED"]:
        return
    rows = [
        (
            row["kind"],
            f"{escape(row['exec_id'] or '')} of {escape(row['account_id'] or '')}",
            row["day"],
            row["first_seen"][:10],
            f"<code>{row['id'].rpartition('-')[2]}</code>",
        )
        for row in report.resolved(_RESOLVED_SHOWN)
    ]
    yield f'<section><h2>Resolved since <span class="soft">{report.status["RESOLVED"]:,}</span></h2>'
    yield '<p class="note">Open at an earlier run, and no longer found.</p>'
    yield from _table((("", "kind"), ("", "fill"), ("", "day"), ("", "first seen"), ("", "id")), rows)
    yield "</section>"


def _not_compared(report: Report) -> Iterable[str]:
    if told := report.not_compared():
        yield "<section><h2>Not compared</h2><ul>"
        yield from (f"<li>{escape(line)}</li>" for line in told)
        yield "</ul></section>"


def _footer(report: Report) -> Iterable[str]:
    run, tolerances = report.run, report.run.terms.tolerances
    facts = [
        f"{escape(name)}: {fills:,} fills" for name, fills in zip(report.files.names, report.files.fills, strict=True)
    ]
    facts.append(f"{escape(run.ledger_id)} at position {run.position}, recorded {run.known_at or 'never'}")
    if run.sources:
        facts.append(f"only what {escape(', '.join(run.sources))} sent")
    told = ", ".join(f"{amount} {currency}" for currency, amount in tolerances.items())
    facts.append(f"tolerance of fees and notionals: {told or 'none'}")
    yield f"<footer>{'; '.join(facts)}. Run at {run.run_at} by fee-ledger reconcile.</footer>"


def _table(heads: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    """`heads` are (style of the column, its name)."""
    yield '<div class="scroll"><table><thead><tr>'
    yield from (f'<th class="{style}">{name}</th>' for style, name in heads)
    yield "</tr></thead><tbody>"
    for row in rows:
        yield "<tr>"
        yield from (f'<td class="{_cell(style)}">{cell}</td>' for (style, _), cell in zip(heads, row, strict=True))
        yield "</tr>"
    yield "</tbody></table></div>"


def _cell(style: str) -> str:
    return "side" if style in ("e", "l") else style.split(" ", maxsplit=1)[0]


def _grouped(text: str) -> str:
    """12345.678 as 12,345.678."""
    whole, point, rest = text.partition(".")
    digits = whole.lstrip("-")
    return f"{'-' if whole.startswith('-') else ''}{int(digits):,}{point}{rest}" if digits.isdecimal() else text


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
