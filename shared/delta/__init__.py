"""What differs between the snapshot and what Dataverse holds because of us: read, compare, number, remember."""
