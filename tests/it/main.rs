//! Whole-system tests: quickstart and the other examples as a user runs them.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod interruption;
#[cfg(test)]
mod panics;
#[cfg(test)]
mod place;
#[cfg(test)]
mod results;
