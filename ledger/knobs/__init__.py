"""How the knobs of `ledger/config` are set: by flags, the environment and a TOML file, each by the same rules."""
