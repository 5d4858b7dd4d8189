"""The script that trains a dictionary: it always makes the same of the same runs, and never writes over one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from scripts.dictionary import __main__ as script


def test_it_makes_the_same_dictionary_again_in_a_new_file_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "_EXCHANGES", 20)  # 400 take some seconds
    made = []
    for name in ("one", "again"):
        file = tmp_path / name
        script.main([str(file)])
        made.append(hashlib.sha256(file.read_bytes()).hexdigest())
        assert capsys.readouterr().out == f"{file}: 16,384 bytes, SHA-256 {made[-1]}\n"
    assert made[0] == made[1]
    with pytest.raises(SystemExit, match="2"):
        script.main([str(file)])
    assert "is there already: logs are compressed with it" in capsys.readouterr().err
