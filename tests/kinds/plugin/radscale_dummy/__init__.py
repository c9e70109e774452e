"""One kind of each, in a package of its own: what a user would write instead of a fork."""
