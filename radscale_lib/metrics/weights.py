"""Files and names of metrics' weights, and nothing else, since every process imports this."""

CHEXBERT_FILES = ("chexbert.pth", "config.json", "vocab.txt")
"""The published checkpoint, and the architecture and vocabulary of its BERT."""
RADGRAPH_FILES = ("config.json", "weights.th", "vocabulary/non_padded_namespaces.txt")
"""The published archive, unpacked."""
RADGRAPH_MODELS = ("radgraph", "radgraph-xl", "modern-radgraph-xl")
"""Permitted names of the folder of RadGraph's weights, by which the package recognises the
model."""
