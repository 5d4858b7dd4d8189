"""The methods that are measured, as gRPC names them: callers send bytes to them."""

from __future__ import annotations

from typing import Final

RECORD_FILLS: Final = "/ledger.v1.FillService/RecordFills"
STREAM_FILLS: Final = "/ledger.v1.FillService/StreamFills"
BAN: Final = "/ledger.v1.CommandService/BanAccount"
PUBLISH: Final = "/ledger.v1.ProgrammeService/PublishProgramme"
QUOTE: Final = "/ledger.v1.QueryService/QuoteFee"
STATE: Final = "/ledger.v1.QueryService/GetVipState"
FILL: Final = "/ledger.v1.QueryService/GetFill"
PAGE: Final = "/ledger.v1.QueryService/ListFeeHistory"
