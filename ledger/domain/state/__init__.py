"""What folding events makes: accounts, programmes, rulebooks, volume cells."""
