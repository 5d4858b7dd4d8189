"""Generate `ledger/v1` and the client's plain methods from `proto/ledger`, and copy what that imports and configures.

All methods of the client are generated once more, for its twin on an event loop.

    .venv/bin/python scripts/generate.py [--check]

With --check it only says whether all of it is current. Exit code 0: done, or current. 1: not current. 2: the generators
are not installed.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from importlib import resources
from pathlib import Path

try:
    import grpc_tools
    from google.protobuf.descriptor_pb2 import FileDescriptorSet
    from grpc_tools import protoc
except ImportError:
    print("generate.py needs grpcio-tools: run `make proto`, or use .venv/bin/python", file=sys.stderr)
    sys.exit(2)

from async_methods import async_text, is_of_methods
from generated_client import Contract, client_text, comments_text

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path("ledger/v1")
COMMENTS = PACKAGE / "comments.py"
CLIENT = Path("ledger/client/generated.py")
ASYNC_METHODS = Path("ledger/client/aio/methods")
SERVICE_CONFIG = PACKAGE / "service_config.json"  # for gRPC itself, and for the client
IMPORTED = Path("google/api/field_behavior.proto")  # in proto/, so that buf and every other language find it there, too


def generate(out: Path) -> None:
    """Write all that is generated, and what the contract imports, below `out`; the import paths need no fix-ups."""
    copy = out / "proto" / IMPORTED
    copy.parent.mkdir(parents=True)
    copy.write_bytes(resources.files("google.api").joinpath(IMPORTED.name).read_bytes())
    protos = sorted(str(path.relative_to(ROOT / "proto")) for path in (ROOT / "proto/ledger").rglob("*.proto"))
    services = [name for name in protos if name.endswith("_service.proto")]
    bin_folder = Path(sys.executable).parent
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    common = ["protoc", f"-I{out / 'proto'}", f"-I{ROOT / 'proto'}", f"-I{well_known}"]
    common += [f"--plugin=protoc-gen-{name}={bin_folder}/protoc-gen-{name}" for name in ("mypy", "mypy_grpc")]
    described = out / "contract.binpb"
    messages = [f"--python_out={out}", f"--mypy_out=quiet:{out}", *protos]
    stubs = [f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}", *services]
    comments = ["--include_source_info", f"--descriptor_set_out={described}", *protos]
    for arguments in (messages, stubs, comments):
        if protoc.main([*common, *arguments]) != 0:
            sys.exit(1)
    contract = Contract(FileDescriptorSet.FromString(described.read_bytes()))
    (out / COMMENTS).write_text(comments_text(contract))
    (out / CLIENT).parent.mkdir()
    (out / CLIENT).write_text(client_text(contract, methods_by_hand()))
    (out / SERVICE_CONFIG).write_bytes((ROOT / "proto" / SERVICE_CONFIG).read_bytes())
    (out / ASYNC_METHODS).mkdir(parents=True)
    for file in (out / CLIENT, *by_hand()):
        if is_of_methods(text := file.read_text()):
            name = (CLIENT.parent / file.name).as_posix()
            (out / ASYNC_METHODS / file.name).write_text(async_text(name, text))


def by_hand() -> list[Path]:
    """Return the modules of the client that somebody wrote."""
    return sorted(file for file in (ROOT / CLIENT).parent.glob("*.py") if file.name != CLIENT.name)


def methods_by_hand() -> list[str]:
    """Return the names of the client's methods that somebody wrote."""
    return [name for file in by_hand() for name in re.findall(r"^    def ([a-z_]+)\(", file.read_text(), re.MULTILINE)]


def generated(root: Path) -> dict[str, bytes]:
    """Return the bytes of each generated or copied file below a folder, by its path in it."""
    files = [*(root / PACKAGE).glob("*_pb2*"), root / COMMENTS, root / SERVICE_CONFIG, root / "proto" / IMPORTED]
    files += [root / CLIENT, *(root / ASYNC_METHODS).glob("[a-z]*.py")]
    return {str(path.relative_to(root)): path.read_bytes() for path in files if path.exists()}


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Generate ledger/v1 and the client's derived methods from proto/.")
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the committed code is stale")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh, committed = generated(Path(folder)), generated(ROOT)
        stale = sorted(name for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name))
        if check:
            for name in stale:
                print(f"not current: {name} (run `make proto`)")
            return 1 if stale else 0
        for name in stale:
            (ROOT / name).unlink(missing_ok=True)
            if name in fresh:
                (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
                (ROOT / name).write_bytes(fresh[name])
            print(f"written: {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
