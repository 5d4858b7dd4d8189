"""States, made by folding events: accounts, programmes, rulebooks, volume cells."""
