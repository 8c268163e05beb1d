//! The repair lab.
