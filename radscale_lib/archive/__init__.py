"""Turn an archive of DICOM files into shards, a ledger of every file, and a catalog."""
