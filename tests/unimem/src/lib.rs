//! The tests of unimem: see `tests/`.
