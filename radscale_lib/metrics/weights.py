"""Files and names by which metrics know their weights; no more, since every process reads it."""

CHEXBERT_FILES = ("chexbert.pth", "config.json", "vocab.txt")
"""The published checkpoint, and the architecture and words of its BERT."""
RADGRAPH_FILES = ("config.json", "weights.th", "vocabulary/non_padded_namespaces.txt")
"""The published archive, unpacked."""
RADGRAPH_MODELS = ("radgraph", "radgraph-xl", "modern-radgraph-xl")
"""Names that the folder of RadGraph's weights may have: by them the package knows the model."""
