//! Whole-system tests: the quickstart program as a user runs it.
