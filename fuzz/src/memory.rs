//! How much memory an input costs. Whoever runs targets in several threads at once cannot tell.

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Begins to measure. Returns what is in use.
pub(crate) fn begin() -> usize {
    ALLOCATOR.reset_peak_usage();
    ALLOCATOR.current_usage()
}

/// The most bytes that were in use beyond `before`.
pub(crate) fn peak_since(before: usize) -> usize {
    ALLOCATOR.peak_usage().saturating_sub(before)
}
