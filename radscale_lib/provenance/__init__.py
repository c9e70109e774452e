"""What made each result: the settings, the code, the inputs, and the digests of all of them."""
