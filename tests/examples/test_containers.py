"""examples/container and examples/kubernetes: what they say is what the service, its knobs and its wheel say."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest

from ledger.config import KNOBS, Config
from ledger.knobs.environment import read_environment
from ledger.program import parser
from ledger.server.health import WRITING
from ledger.server.memory_bound import memory_bound
from ledger.store.postgres import embedded

ROOT: Final = Path(__file__).parents[2]
CONTAINER: Final = ROOT / "examples" / "container"
DOCKERFILE: Final = (CONTAINER / "Dockerfile").read_text()
COMPOSE: Final = (CONTAINER / "compose.yaml").read_text()
KUBERNETES: Final = (ROOT / "examples" / "kubernetes" / "fee-ledger.yaml").read_text()
STOP_S: Final = (Config().drain_ms + Config().stop_grace_ms) // 1000 + 5


def command(instruction: str) -> list[str]:
    """Return the words of an instruction that gives them as JSON."""
    found = re.search(rf"^{instruction}\b.*?(\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found is not None
    words: list[str] = json.loads(found[1])
    return words


def test_the_image_is_built_on_one_version_from_locked_hashes_and_runs_as_nobody_special() -> None:
    assert re.search(r"^ARG PYTHON=3\.\d+\.\d+-slim-[a-z]+$", DOCKERFILE, re.MULTILINE)
    assert re.findall("^FROM (?:docker.io/library/python:)(.*?)(?: AS build)?$", DOCKERFILE, re.MULTILINE) == [
        "${PYTHON}",
        "${PYTHON}",
    ]
    assert "--require-hashes" in DOCKERFILE
    assert re.search(r"^USER ([1-9]\d*)$", DOCKERFILE, re.MULTILINE)[1] in KUBERNETES  # type: ignore[index]


def test_its_commands_are_understood_and_its_variables_are_knobs() -> None:
    program, check = command("ENTRYPOINT"), command("HEALTHCHECK")
    assert parser().parse_args(command("CMD")).subcommand.name == "serve"
    assert check[: len(program)] == program
    health = parser().parse_args(check[1:])
    assert int(re.search(r"--timeout=(\d+)s", DOCKERFILE)[1]) > health.timeout  # type: ignore[index]
    variables = dict(re.findall(r"(?:^ENV | )([A-Z_]+)=(\S+)", DOCKERFILE))
    said = read_environment(variables, KNOBS)
    assert {name: one.value for name, one in said.items()} == {
        "listen": "0.0.0.0:50051",
        "metrics_listen": "0.0.0.0:9464",
    }
    assert "EXPOSE 50051 9464\n" in DOCKERFILE
    assert f"VOLUME {variables['XDG_DATA_HOME']}/fee-ledger\n" in DOCKERFILE


def test_what_the_build_gets_to_see_is_enough_to_make_the_wheel(tmp_path: Path) -> None:
    lines = (CONTAINER / "Dockerfile.dockerignore").read_text().splitlines()
    seen = [line.removeprefix("!") for line in lines if line.startswith("!")]
    for name in seen:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    build = "from hatchling.build import build_wheel; print(build_wheel('.'))"
    done = subprocess.run([sys.executable, "-c", build], cwd=tmp_path, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(tmp_path / done.stdout.split()[-1]) as wheel:
        names = wheel.namelist()
    for place in ("program.py", "_proto/ledger/v1/events.proto", "_prometheus/alerts.yml"):
        assert f"ledger/{place}" in names
    assert "projections/tables/schema.sql" in names
    assert fnmatch.filter(names, "*/licenses/LICENSE")


def test_a_stop_may_take_as_long_as_the_knobs_say() -> None:
    embedded_s = STOP_S + sum(embedded._STOP_SECONDS_MAX.values())
    assert f"docker stop --time {embedded_s:.0f}\n" in DOCKERFILE
    assert f"stop_grace_period: {STOP_S}s\n    restart" in COMPOSE
    assert f"terminationGracePeriodSeconds: {STOP_S}\n" in KUBERNETES


def test_memory_is_the_bound_of_the_service() -> None:
    bound = sum(memory_bound(Config()).values())
    (compose,) = map(int, re.findall(r"mem_limit: (\d+)m", COMPOSE))
    kubernetes = {int(found) for found in re.findall(r"memory: (\d+)Mi", KUBERNETES)}
    assert kubernetes == {compose}
    assert bound <= compose * 1024**2 <= 1.1 * bound


def test_the_port_is_published_on_loopback_and_variables_are_known() -> None:
    ports = re.findall(r'- "(\S+):50051:50051"', COMPOSE)
    assert ports == ["127.0.0.1"]
    named = set(re.findall(r"\b(FEE_LEDGER_[A-Z_]+)\b(?=:)", COMPOSE)) | set(re.findall(r"name: (FEE_\w+)", KUBERNETES))
    assert named == {"FEE_LEDGER_DSN"}
    assert read_environment(dict.fromkeys(named, "postgresql://db/ledger"), KNOBS)


def test_kubernetes_sends_calls_to_who_writes_and_begins_anew_only_who_does_not_answer() -> None:
    (service,) = re.findall(r"service: (ledger\.\S+?)\}", KUBERNETES)
    assert service in WRITING
    (line,) = re.findall(r'command: \[sh, -c, "(.*)"\]', KUBERNETES)
    asked, _, judged = line.partition("; ")
    assert parser().parse_args(shlex.split(asked)[1:]).subcommand.name == "health"
    for code, lives in ((0, True), (1, True), (2, False)):
        done = subprocess.run(["sh", "-c", f"sh -c 'exit {code}'; {judged}"], check=False)
        assert (done.returncode == 0) == lives
    assert "enableServiceLinks: false" in KUBERNETES


@pytest.mark.parametrize("place", re.findall(r"^COPY ([^-\s]\S*) ", DOCKERFILE, re.MULTILINE))
def test_what_is_copied_is_there(place: str) -> None:
    assert (ROOT / place).exists()
