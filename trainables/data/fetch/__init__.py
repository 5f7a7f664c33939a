"""Public data, fetched: a catalogue, downloads that go on, checksums."""
