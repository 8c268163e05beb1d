//! Whole-system tests: the quickstart program as a user runs it.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod interruption;
#[cfg(test)]
mod panics;
#[cfg(test)]
mod place;
#[cfg(test)]
mod results;
