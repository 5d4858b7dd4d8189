"""The service as its callers and its PostgreSQL find it: connections, the door, health, and how it is configured."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Final

import grpc
from grpc import insecure_channel
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from psycopg.sql import Identifier

from ledger.config import KNOBS
from ledger.knobs.knob import Origin
from ledger.server.connections import connections_needed
from ledger.server.health import READING, SERVICES, WRITING
from ledger.store.postgres.database import ConnectionsMax, connections_max
from ledger.tools.doctor.finding import Finding, fault, note, ok, unseen, warning
from ledger.tools.doctor.site import Site
from ledger.tools.doctor.words import listed

_ASK_S_MAX: Final = 2.0
_USED: Final = "SELECT coalesce(sum(numbackends), 1)::int - 1 FROM pg_stat_database"  # without the doctor's own
_LOOPBACK: Final = "127.0.0.1"
_LOG: Final = "grep 'health: NOT_SERVING' FILE  # the log of the service, wherever that is kept"


def connections(site: Site) -> Iterator[Finding]:
    """Compare the connections that the role gets with those that the service needs."""
    most, needs = connections_max(site.connection), connections_needed(site.config)
    (used,) = site.row(_USED)
    role = site.connection.info.user
    figures = {"connections_max": most.least, "connections_needed": needs, "connections_used": used}
    says = f"PostgreSQL gives {role} {most.least} connections, of which the service needs {needs}; {used} are in use"
    if most.least < needs:
        yield fault(f"{says}: no service starts", _more(site, most, needs), **figures)
    elif site.writer is None and most.server - used < needs:
        yield warning(f"{says}: others leave too few", _more(site, ConnectionsMax(0, None, None), needs + used),
                      **figures)  # fmt: skip
    elif most.least < 2 * needs:
        yield note(f"{says}: a standby needs as many", _more(site, most, 2 * needs), **figures)
    else:
        yield ok(says, **figures)


def _more(site: Site, most: ConnectionsMax, needs: int) -> str:
    """Return what raises the limits that are too low."""
    role, database = Identifier(site.connection.info.user), Identifier(site.connection.info.dbname)
    statements = []
    if most.role is not None and most.role < needs:
        statements.append(f"ALTER ROLE {role.as_string()} CONNECTION LIMIT -1")
    if most.database is not None and most.database < needs:
        statements.append(f"ALTER DATABASE {database.as_string()} CONNECTION LIMIT -1")
    if most.server < needs:
        statements.append(f"ALTER SYSTEM SET max_connections = {needs + 20}")
    restart = "  # and restart PostgreSQL" if most.server < needs else ""
    return f"{site.psql('postgres', *statements)}{restart}"


def door(site: Site) -> Iterator[Finding]:
    """Look who reaches the service, and its metrics: there is no TLS, and no access control."""
    address = site.service.address if site.service else site.config.listen
    host, _, port = address.rpartition(":")
    if _is_loopback(host.strip("[]")):
        yield ok(f"the service listens on {address}, which this machine alone reaches", listen=address)
    else:
        yield warning(f"the service listens on {address}: whoever reaches it may ask and order everything",
                      f"fee-ledger serve --listen {_LOOPBACK}:{port}", listen=address)  # fmt: skip
    metrics = site.config.metrics_listen
    host, _, port = metrics.rpartition(":")
    if host and not _is_loopback(host.strip("[]")):
        remedy = f"fee-ledger serve --metrics-listen {_LOOPBACK}:{port}"
        yield note(f"metrics are told to whoever reaches {metrics}", remedy, metrics_listen=metrics)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def health(site: Site) -> Iterator[Finding]:
    """Ask the service, if one runs, whether it serves each of its services."""
    address = site.service_address
    if address.endswith(":0"):
        yield unseen("the service took a free port, which nobody says here: give its --address")
        return
    with insecure_channel(address) as channel:
        try:
            served = _served(HealthStub(channel))
        except grpc.RpcError as error:
            yield _silent(site, address, error)
            return
    yield from _turned_away(site, address, served)


def _served(stub: HealthStub) -> Mapping[str, bool]:
    """Return for each service whether it is served. Raises RpcError."""
    names = ("", *SERVICES)
    asked = {name: stub.Check(HealthCheckRequest(service=name), timeout=_ASK_S_MAX) for name in names}
    return {name: answer.status == HealthCheckResponse.SERVING for name, answer in asked.items()}


def _silent(site: Site, address: str, error: grpc.RpcError) -> Finding:
    """Say what it means that nobody answers: only something if somebody should."""
    why = str(error.details()).rpartition(": ")[2].rstrip(".")
    if site.service is not None:
        return fault(f"the service with pid {site.service.pid} does not answer at {address} ({why})",
                     f"kill {site.service.pid}  # and start it again", pid=site.service.pid)  # fmt: skip
    writer = None if site.lacks_log else site.writer
    if writer is not None:
        return note(f"nobody answers at {address} ({why}), though {writer.role} writes the ledger from elsewhere",
                    "fee-ledger doctor --address HOST:PORT")  # fmt: skip
    return note(f"no service runs: nobody answers at {address} ({why})", "fee-ledger serve")


def _turned_away(site: Site, address: str, served: Mapping[str, bool]) -> Iterator[Finding]:
    reads = [name or "(all)" for name in READING if not served.get(name, True)]
    writes = [name for name in WRITING if not served.get(name, True)]
    if reads:
        yield fault(f"the service at {address} serves no reads: NOT_SERVING {listed(reads)}; its log says why",
                    _LOG, not_serving=", ".join(reads))  # fmt: skip
    elif writes and site.folder is None and not site.lacks_log and site.writer is not None:
        yield note(f"the service at {address} stands by, or its term has ended: NOT_SERVING {listed(writes)}",
                   not_serving=", ".join(writes))  # fmt: skip
    elif writes:
        yield fault(f"the service at {address} records nothing: NOT_SERVING {listed(writes)}; its log says why",
                    _LOG, not_serving=", ".join(writes))  # fmt: skip
    else:
        yield ok(f"the service at {address} serves all of its {len(SERVICES)} services")


def configuration(site: Site) -> Iterator[Finding]:
    """Look at who sets the knobs: two who contradict each other, a password that others read."""
    settings, found = site.settings, False
    for line in settings.remarks:
        found = True
        if line.startswith("warning: "):
            yield warning(line.removeprefix("warning: "), "chmod 600 FILE && fee-ledger serve --dsn-file FILE")
        else:
            yield note(line, "fee-ledger config show")
    for name, setting in settings.by_knob.items():
        for other in setting.overridden:
            found = True
            secret = KNOBS[name].is_secret
            values = ("***", "***") if secret else (setting.said.value, other.value)
            says = f"{name} is {values[0]} by {setting.said.place}; {values[1]} by {other.place} does not count"
            yield note(says, "fee-ledger config show", knob=name)
    accepts = settings.by_knob["accept_clock"].said
    if accepts.value and accepts.origin is not Origin.FLAG:
        found = True
        yield warning(
            f"accept_clock is set by {accepts.place}: every start believes a wrong clock; it is for one, by its flag",
            f"unset {accepts.place}" if accepts.origin is Origin.ENVIRONMENT else f"delete the line {accepts.place}",
        )
    if not found:
        set_ = sum(setting.said.origin is not Origin.DEFAULT for setting in settings.by_knob.values())
        yield ok(f"{set_} of {len(settings.by_knob)} knobs are set, each by one alone", knobs_set=set_)
