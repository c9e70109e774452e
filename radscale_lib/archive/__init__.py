"""From an archive of DICOM files to shards, a ledger of every file, and a catalog."""
