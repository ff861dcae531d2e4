//! The three binaries at a real broker: tests that measure how soon something happens, so that nothing runs beside them.

mod edge;
mod grid;
mod instances;
mod trace;
