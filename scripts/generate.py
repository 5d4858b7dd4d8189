"""Generate `ledger/v1` from `proto/`; with --check only say whether it is current.

    .venv/bin/python scripts/generate.py [--check]

Exit code 0: done, or current. 1: not current. 2: the generators are not installed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

try:
    import grpc_tools
    from grpc_tools import protoc
except ImportError:
    print("generate.py needs grpcio-tools: run `make proto`, or use .venv/bin/python", file=sys.stderr)
    sys.exit(2)

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path("ledger/v1")


def generate(out: Path) -> None:
    """Write messages, service stubs and their types below `out`; the import paths need no fix-ups."""
    protos = sorted(str(path.relative_to(ROOT / "proto")) for path in (ROOT / "proto").rglob("*.proto"))
    services = [name for name in protos if name.endswith("_service.proto")]
    bin_folder = Path(sys.executable).parent
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    common = ["protoc", f"-I{ROOT / 'proto'}", f"-I{well_known}"]
    common += [f"--plugin=protoc-gen-{name}={bin_folder}/protoc-gen-{name}" for name in ("mypy", "mypy_grpc")]
    messages = [f"--python_out={out}", f"--mypy_out=quiet:{out}", *protos]
    stubs = [f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}", *services]
    for arguments in (messages, stubs):
        if protoc.main([*common, *arguments]) != 0:
            sys.exit(1)


def differences(fresh: Path, committed: Path) -> list[str]:
    """Names of generated files that are missing, stale or left over."""
    left = {path.name: path.read_bytes() for path in fresh.iterdir()}
    right = {path.name: path.read_bytes() for path in committed.iterdir() if "_pb2" in path.name}
    return sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Generate ledger/v1 from proto/.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the committed code is stale")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        stale = differences(Path(folder) / PACKAGE, ROOT / PACKAGE)
        if check:
            for name in stale:
                print(f"not current: {PACKAGE / name} (run `make proto`)")
            return 1 if stale else 0
        for name in stale:
            (ROOT / PACKAGE / name).unlink(missing_ok=True)
            if (Path(folder) / PACKAGE / name).exists():
                shutil.copy(Path(folder) / PACKAGE / name, ROOT / PACKAGE / name)
            print(f"written: {PACKAGE / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
