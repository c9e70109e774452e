"""One kind of each, in a separate package: what a user would write instead of a fork."""
