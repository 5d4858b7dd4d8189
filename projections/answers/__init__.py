"""One file for each kind of question about one account, or about all of them."""
