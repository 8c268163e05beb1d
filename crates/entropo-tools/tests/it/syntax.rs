//! Errors of syntax that an edit brings, and outlines.
