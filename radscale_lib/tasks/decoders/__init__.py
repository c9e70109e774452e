"""Decoders, one module each: masks from the four feature levels of a frozen encoder."""
