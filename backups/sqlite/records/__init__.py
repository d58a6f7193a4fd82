"""What is written beside the database: manifests, receipts, snapshots sent, downloads."""
