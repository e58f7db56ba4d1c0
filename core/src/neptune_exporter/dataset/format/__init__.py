"""What lies on disk and under which name: layout, receipts, encoding, storage, lock."""
