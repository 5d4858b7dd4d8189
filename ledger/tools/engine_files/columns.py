"""Which column of a file each of ours is: as a preset says, and as the command line does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ledger.cli.errors import UnusableError
from ledger.tools.engine_files.limits import COLUMNS_MAX
from ledger.tools.engine_files.presets import NAMES, PRESETS, TIMES, YES_NO, Shape

_ONLY: Final = "only_"  # before the number of a column of Shape.only
_FILLS: Final = "fills"  # --columns fills=data.list


class Mapped:
    """The columns that --columns names, for example `ccxt,account_id=info.uid,notional=`."""

    def __init__(self, text: str) -> None:
        """Raise UnusableError for a name that is none."""
        parts = [part.strip() for part in text.split(",") if part.strip()]
        presets = [part for part in parts if "=" not in part] or ["ledger"]
        for name in presets:
            if name not in PRESETS:
                raise UnusableError(f"--columns: no preset {name!a}: there are {', '.join(PRESETS)}")
        if len(presets) > 1:
            raise UnusableError(f"--columns: {' and '.join(presets)}: give one preset, and pairs ours=theirs")
        self.preset = presets[0]
        self._named = dict(part.split("=", 1) for part in parts if "=" in part)
        self.fills = self._named.pop(_FILLS, None)
        for name in self._named:
            if name not in NAMES:
                raise UnusableError(f"--columns: {name!a} is none of our columns: they are {', '.join(NAMES)}")

    def shape(self, has: Sequence[str]) -> Shape:
        """Return the shape of the preset that a file with these columns has; if it has none, the last one."""
        there = set(map(_folded, has))
        shapes = PRESETS[self.preset]
        return next((shape for shape in shapes if self._fits(shape, there)), shapes[-1])

    @property
    def first(self) -> Shape:
        """The shape that says where a reply of an API holds its fills."""
        return PRESETS[self.preset][0]

    def names(self, shape: Shape) -> dict[str, str]:
        """Return every column that a file of this shape may have: ours -> its own."""
        only = {f"{_ONLY}{number}": theirs for number, theirs in enumerate(shape.only)}
        return {name: theirs for name, theirs in ({**shape.columns, **self._named} | only).items() if theirs}

    def found(
        self,
        file: str,
        has: Sequence[str],
        shape: Shape,
        constants: Mapping[str, str],
        every: Sequence[str] = (),
    ) -> dict[str, int]:
        """Return the place in `has` of each of ours that a file has. Names count without case and outer spaces.

        `constants` are columns of ours that the command line gives for every fill; `every` are the names that a
        fault lists, if the file has more than `has`. Raises UnusableError for a name that stands twice, and for a file
        that cannot be compared.
        """
        if len(has) > COLUMNS_MAX:
            raise UnusableError(f"{file}: has {len(has):,} columns, at most {COLUMNS_MAX:,} are read")
        there, listed = set(map(_folded, has)), _listed(every or has)
        for name, theirs in self._named.items():
            if theirs and _folded(theirs) not in there:
                raise UnusableError(f"{file}: no column {theirs} for {name}: it has {listed}")
        found = {}
        for name, theirs in self.names(shape).items():
            if name not in constants and _folded(theirs) in there:
                found[name] = place_of(theirs, file, has, f", or leave it out with --columns {name}=")
        self._check(file, listed, shape, {**dict.fromkeys(constants, 0), **found})
        return found

    def _check(self, file: str, listed: str, shape: Shape, found: Mapping[str, int]) -> None:
        for name in ("exec_id", "account_id"):
            if name not in found:
                raise UnusableError(
                    f"{file}: no column {self.names(shape).get(name, name)}, and without {name} no fill is known: it"
                    f" has {listed}; say which with --columns {name}=NAME"
                    + (" or give --account" if name == "account_id" else "")
                )
        times = [name for name in found if name in TIMES]
        if len(times) != 1:
            theirs = next(name for ours, name in shape.columns.items() if ours in TIMES)
            fault = f"{' and '.join(times)} are both there" if times else f"no column {theirs}"
            raise UnusableError(f"{file}: {fault}: say which with --columns transact_time=NAME (or _ns, _us, _ms, _s)")
        for yes_no, name in YES_NO.items():
            if yes_no in found and name in found:
                raise UnusableError(f"{file}: {yes_no} and {name} are both there: leave one out with --columns {name}=")

    def _fits(self, shape: Shape, there: set[str]) -> bool:
        names = self.names(shape)
        if shape.told_by:
            return there.issuperset(map(_folded, shape.told_by))
        time = any(name in TIMES and _folded(theirs) in there for name, theirs in names.items())
        return time and _folded(names.get("exec_id", "")) in there


def place_of(name: str, file: str, has: Sequence[str], or_else: str = "") -> int:
    """Return where a column stands in the header of a file that has it. Raises UnusableError if it stands twice."""
    places = [place for place, theirs in enumerate(has) if _folded(theirs) == _folded(name)]
    if len(places) > 1:
        raise UnusableError(
            f"{file}: column {name} stands {len(places)} times, which is ambiguous: rename the others in the file"
            f"{or_else}"
        )
    return places[0]


def wanted(name: str, shape: Shape) -> tuple[str, str] | None:
    """Return (column of the file, value every fill has in it) of a column that found() has because of Shape.only."""
    if not name.startswith(_ONLY):
        return None
    return list(shape.only.items())[int(name.removeprefix(_ONLY))]


def _folded(name: str) -> str:
    return name.strip().casefold()


def _listed(has: Sequence[str]) -> str:
    listed = ", ".join(name[:40] for name in has[:40])
    return listed.encode("ascii", "backslashreplace").decode() or "no columns"
