//! Programs with other bindings to Metal: the tests of this package.
