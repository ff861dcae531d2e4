//! deliver
pub mod destinations;
pub mod failure;
pub mod lanes;
pub mod marks;
