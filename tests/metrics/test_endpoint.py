"""The endpoint of metrics: one path, two formats, and nobody who asks slowly or often holds it up."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import threading
import time
import urllib.error
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from ledger.metrics import endpoint as under_test
from ledger.metrics.endpoint import Endpoint, EndpointError, listen_for_metrics
from ledger.metrics.histogram import Histogram
from ledger.metrics.page import Readings, registry_of
from tests.docs.pages import ROOT
from tests.metrics.watching import get
from tests.open_files import no_more_files
from tests.waiting import wait_for


def readings() -> Readings:
    took = Histogram((1, 10), per=10)
    for value in (1, 2, 100):
        took.add(value)
    return {
        "fee_ledger_writing": True,
        "fee_ledger_queue_fills": 3,
        "fee_ledger_fills_total": {("recorded",): 5},
        "fee_ledger_commit_seconds": took,
        "fee_ledger_build_info": {('l"1\n', "3.11", "3", "0.2"): 1},
    }


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint("127.0.0.1:0")
    endpoint.begin(registry_of(readings))
    yield endpoint
    endpoint.stop()


def test_both_formats_say_the_same(endpoint: Endpoint) -> None:
    texts = [get(endpoint.url), get(endpoint.url, Accept="application/openmetrics-text; version=1.0.0")]
    assert texts[1].endswith("# EOF\n")
    one, other = (
        {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in parse(text)
            for sample in family.samples
            if sample.name.startswith("fee_ledger")
        }
        for parse, text in zip((prometheus, openmetrics), texts, strict=True)
    )
    assert one == other
    assert one["fee_ledger_fills_total", ("outcome", "recorded")] == 5
    buckets = {key[1][1]: value for key, value in one.items() if key[0] == "fee_ledger_commit_seconds_bucket"}
    assert buckets == {"0.1": 1, "1.0": 2, "+Inf": 3}
    assert one["fee_ledger_commit_seconds_sum",] == 10.3
    assert ("ledger_id", 'l"1\n') in next(key for key in one if key[0] == "fee_ledger_build_info")


def test_a_caller_may_ask_for_some_metrics(endpoint: Endpoint) -> None:
    text = get(f"{endpoint.url}?name[]=fee_ledger_writing")
    assert [line for line in text.splitlines() if line[0] != "#"] == ["fee_ledger_writing 1.0"]


@pytest.mark.parametrize("path", ["/", "/metrics/", "/favicon.ico", "/metrics/../x"])
def test_there_is_no_other_path(endpoint: Endpoint, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(endpoint.url.replace("/metrics", path))


def test_a_part_that_fails_is_left_out_of_the_page(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Readings:
        raise ZeroDivisionError

    endpoint = Endpoint("127.0.0.1:0")
    endpoint.begin(registry_of(broken, readings))
    assert "fee_ledger_queue_fills 3.0" in get(endpoint.url)
    endpoint.stop()
    assert "some metrics could not be read: ZeroDivisionError()" in caplog.text


def test_those_who_ask_slowly_are_few_and_cut_off(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "_ASKING_S_MAX", 0.5)
    before = threading.active_count()
    port = int(endpoint.url.rpartition(":")[2].partition("/")[0])
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(20)]
        for each in slow:
            each.sendall(b"GET /met")
        time.sleep(0.2)
        assert threading.active_count() - before <= 4
        answers = [_rest(each) for each in slow]
    assert {answer[:12] for answer in answers} <= {b"", b"HTTP/1.0 503"}
    assert sum(answer.startswith(b"HTTP/1.0 503") for answer in answers) >= 10
    assert "fee_ledger_writing" in get(endpoint.url)


def _rest(connection: socket.socket) -> bytes:
    connection.settimeout(5)
    try:
        return connection.recv(100)
    except ConnectionResetError:
        return b""


def test_a_page_is_read_whole_however_many_ask(endpoint: Endpoint) -> None:
    found = list[str]()

    def ask() -> None:
        for _ in range(20):
            with suppress(urllib.error.HTTPError):  # 503: too many at once
                found.append(get(endpoint.url))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found
    assert all("fee_ledger_queue_fills 3.0" in text for text in found)


def has_ipv6() -> bool:
    """Return whether this machine has the loopback address of IPv6."""
    with socket.socket(socket.AF_INET6) as tried, suppress(OSError):
        tried.bind(("::1", 0))
        return True
    return False


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_a_host_is_named_as_for_calls(host: str) -> None:
    if host == "[::1]" and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    endpoint = Endpoint(f"{host}:0")
    endpoint.begin(registry_of(readings))
    assert "fee_ledger_queue_fills 3.0" in get(endpoint.url)
    endpoint.stop()


@pytest.mark.parametrize("listen", ["nowhere.invalid:1", "127.0.0.1:99999", "192.0.2.1:9464"])
def test_an_address_that_cannot_be_had_is_told_in_one_line_with_the_remedy(listen: str) -> None:
    with pytest.raises(EndpointError, match=rf"cannot serve metrics on {listen} \(.*--metrics-listen off"):
        Endpoint(listen)


def test_a_taken_port_ends_the_start_where_somebody_asked_for_it_and_is_told_otherwise(endpoint: Endpoint) -> None:
    taken = endpoint.url.removeprefix("http://").removesuffix("/metrics")
    nobody, line, level = listen_for_metrics(taken, asked=False)
    assert (nobody, level) == (None, logging.WARNING)
    assert line.startswith(f"metrics are off: cannot serve metrics on {taken} (Address already in use): is another")
    assert listen_for_metrics("off", asked=True) == (None, "metrics are off", logging.INFO)
    command = [sys.executable, "-m", "ledger", "serve", "--metrics-listen", taken]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    told = line.removeprefix("metrics are off: ")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"fee-ledger: {told}\n")


def test_a_scrape_for_which_no_file_is_left_waits_and_takes_no_processor(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "_LOOK_EVERY_S", 0.2)
    failed, accept = list[OSError](), socket.socket.accept

    def counted(listening: socket.socket) -> object:
        try:
            return accept(listening)
        except OSError as error:
            failed.append(error)
            raise

    monkeypatch.setattr(socket.socket, "accept", counted)
    host, _, port = endpoint.url.removeprefix("http://").removesuffix("/metrics").rpartition(":")
    with socket.socket() as asking:
        with no_more_files():
            began_s = time.monotonic()
            asking.connect((host, int(port)))
            wait_for(lambda: len(failed) >= 3)
            looked, took_s = len(failed), time.monotonic() - began_s
        assert looked <= 1 + took_s / 0.2, "it looks again each fifth of a second, and not at once"
        asking.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        asking.settimeout(10)
        assert asking.recv(100).startswith(b"HTTP/1.0 200 OK")
