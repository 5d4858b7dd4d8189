"""The wheel has all of the product, the files beside the code included, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import Ledger
from tests.data_folders import reachable_folder
from tests.samples import batch, fill, symbol

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as pip builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = f"from hatchling.build import build_wheel; print(build_wheel({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", build], cwd=ROOT, capture_output=True, text=True, check=True)
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def packed(wheel: Path) -> set[str]:
    """Names of the files in the wheel, but for what describes it."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def unpacked(wheel: Path) -> Path:
    """The folder of the unpacked wheel."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(wheel.parent / "unpacked")
    return wheel.parent / "unpacked"


@pytest.fixture(scope="module")
def thin(unpacked: Path) -> str:
    """PYTHONPATH of what `pip install fee-ledger` brings."""
    return path_with(unpacked)


@pytest.fixture(scope="module")
def bare(unpacked: Path) -> str:
    """PYTHONPATH of what `pip install 'fee-ledger[service]'` brings."""
    return path_with(unpacked, "service")


def path_with(unpacked: Path, *extras: str) -> str:
    """Return a PYTHONPATH of the wheel and of the packages that it needs with some extras, and of no other one."""
    packages = unpacked.with_name("-".join(("packages", *extras)))
    packages.mkdir()
    for name in brought(unpacked, *extras):
        for top in {file.parts[0] for file in metadata.files(name) or ()} - {"..", "__pycache__"}:
            if not (packages / top).exists():  # `google` is of two packages
                (packages / top).symlink_to(metadata.distribution(name).locate_file(top))
    return f"{unpacked}{os.pathsep}{packages}"


def brought(unpacked: Path, *extras: str) -> set[str]:
    """Return the names of all packages that pip brings with the wheel and some of its extras."""
    (described,) = unpacked.glob("*.dist-info")
    ours = metadata.PathDistribution(described).requires or []
    found: set[str] = set()

    def follow(requirements: list[str], extras: Iterable[str]) -> None:
        for requirement in map(Requirement, requirements):
            marker = requirement.marker
            if marker and not any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                continue
            if requirement.name == "fee-ledger":
                follow(ours, requirement.extras)
            elif requirement.name not in found:
                found.add(requirement.name)
                follow(metadata.requires(requirement.name) or [], requirement.extras)

    follow(ours, extras)
    return found


def run_bare(bare: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line with the extra `service` alone; -S leaves out what is installed here."""
    command = [sys.executable, "-S", "-m", "ledger", *arguments]
    return subprocess.run(command, env={"PYTHONPATH": bare}, cwd=os.sep, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("serve", "--data", "{folder}", "--listen", "127.0.0.1:0"), "embedded"),
        (("audit", "--data", "{ledger}"), "embedded"),
        (("reconcile", "fills.csv"), "tools"),
    ],
    ids=lambda words: words[0] if isinstance(words, tuple) else "",
)
def test_without_another_extra_one_line_says_which_one_to_install(
    bare: str, arguments: tuple[str, ...], extra: str
) -> None:
    folder = reachable_folder()
    (folder / "ledger" / "data").mkdir(parents=True)
    places = {"folder": folder / "new", "ledger": folder / "ledger"}
    done = run_bare(bare, *(word.format_map(places) for word in arguments))
    shutil.rmtree(folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert f"pip install 'fee-ledger[{extra}]'" in done.stderr


def test_the_client_needs_four_packages_and_what_they_need(unpacked: Path, thin: str) -> None:
    assert brought(unpacked) == {
        "googleapis-common-protos", "grpcio", "grpcio-status", "protobuf", "typing-extensions",
    }  # fmt: skip
    command = [sys.executable, "-S", "-c", "import ledger.client"]
    subprocess.run(command, env={"PYTHONPATH": thin}, cwd=os.sep, check=True)


def run_thin(thin: str, *command: str) -> subprocess.CompletedProcess[str]:
    """A Python that has the client's packages alone."""
    environment = {"PYTHONPATH": thin, "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-S", *command], env=environment, cwd=os.sep, capture_output=True, text=True, check=False
    )


def run_door(thin: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line of the client alone."""
    return run_thin(thin, "-c", "import sys; from ledger.__main__ import main; sys.exit(main())", *arguments)


def test_with_the_client_alone_the_programs_of_the_page_print_what_they_say(thin: str, ledger: Ledger) -> None:
    page = (ROOT / "docs" / "python.md").read_text()
    programs = [text for text in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "  # prints " in text]
    assert len(programs) == 2
    for text in programs:
        done = run_thin(thin, "-c", text.replace("127.0.0.1:50051", ledger.address))
        assert (done.stderr, done.stdout.splitlines()) == ("", re.findall(r"  # prints (.*)", text))


def test_the_client_alone_imports_nothing_else(thin: str) -> None:
    script = (
        "import pkgutil, sys, importlib, ledger.client, ledger.cli\n"
        "for found in pkgutil.walk_packages(ledger.client.__path__, 'ledger.client.'):\n"
        "    importlib.import_module(found.name)\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names))"
    )
    done = run_thin(thin, "-c", script)
    found = {name for name in done.stdout.split() if not name.startswith("_") and name != "cython_runtime"}
    assert (done.stderr, found) == ("", {"google", "grpc", "grpc_status", "ledger", "typing_extensions"})


@pytest.mark.parametrize(
    ("command", "shows"),
    [
        ("start-trial alice --start 2024-09-01", "alice: VIP3 (TRIAL g1)"),
        ("state alice --as-of 2024-09-15", "alice: NONE"),
        ("entitlements alice --json", '"manager_id": ""'),
        ("events --json", '"topic": "VolumeRecorded"'),
        ("controls", "0 findings"),
        ("programme print", "every number and every switch"),
    ],
)
def test_the_client_alone_has_the_commands_that_ask_a_running_ledger(
    thin: str, ledger: Ledger, command: str, shows: str
) -> None:
    ledger.commands.RegisterSymbol(symbol())
    ledger.fills.RecordFills(batch(fill()))
    done = run_door(thin, *command.split(), "--address", ledger.address)
    assert done.stderr == ""
    assert shows in done.stdout


@pytest.mark.parametrize(
    ("command", "extra"),
    [("serve --listen 127.0.0.1:1", "service"), ("audit --json", "service"), ("reconcile", "service"),
     ("completion bash", "service")],
)  # fmt: skip
def test_a_command_that_needs_more_than_the_client_says_which_extra_brings_it(
    thin: str, command: str, extra: str
) -> None:
    done = run_door(thin, *command.split())
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("fee-ledger: ")
    assert f"needs the extra {extra}: pip install 'fee-ledger[{extra}]'" in done.stderr


def test_the_help_of_the_client_alone_names_what_it_has_not_and_a_word_that_nobody_knows_is_one_line(thin: str) -> None:
    told = run_door(thin, "--help")
    assert (told.returncode, told.stderr) == (0, "")
    assert "This is the client alone: pip install 'fee-ledger[service]' brings audit, " in " ".join(told.stdout.split())
    assert not re.search("^  audit ", told.stdout, re.MULTILINE)
    wrong = run_door(thin, "stat")
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (2, "", 1)
    assert "did you mean state" in wrong.stderr


def test_without_another_extra_every_help_prints(bare: str) -> None:
    script = (
        "import contextlib, io\n"
        "from ledger.program import main, parser\n"
        "names = [action for action in parser()._actions if isinstance(action.choices, dict)][0].choices\n"
        "for name in names:\n"
        "    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "        main([name, '--help'])\n"
        "print(len(names))\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], env={"PYTHONPATH": bare}, cwd=os.sep, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 50


def test_every_file_of_the_packages_of_the_contract_and_for_prometheus_is_in_the_wheel(packed: set[str]) -> None:
    product = {
        str(path.relative_to(ROOT))
        for package in ("ledger", "projections")
        for path in (ROOT / package).rglob("*")
        if path.name == "py.typed"
        or path.suffix in (".py", ".pyi", ".css", ".j2", ".json", ".sql", ".toml", ".zdict")
        or path.name == "py.typed"
    }
    beside = {
        f"ledger/{name}/{path.relative_to(folder)}"
        for name, folder in (("_proto", ROOT / "proto"), ("_prometheus", ROOT / "docs/operations/prometheus"))
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert {"ledger/_prometheus/alerts.yml", "ledger/_prometheus/grafana.json"} < beside
    assert packed == product | beside


def test_the_door_is_what_pip_installs() -> None:
    program = Path(sys.executable).with_name("fee-ledger")
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    with_module = subprocess.run(
        [sys.executable, "-m", "ledger", "--version"], cwd=os.sep, capture_output=True, text=True, check=True
    )
    assert done.stdout == with_module.stdout
    assert done.stdout.startswith("fee-ledger ")
