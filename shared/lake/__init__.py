"""The lake: manifests, safe locations, and snapshots that are pinned before anything is written."""
