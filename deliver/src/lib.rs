//! deliver
pub mod failure;
pub mod lanes;
pub mod marks;
