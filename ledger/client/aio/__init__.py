"""The client on an event loop: what waits is written again here, all else is that of `ledger.client`.

`methods` are generated from the methods of the other client.
"""
