//! entropo
