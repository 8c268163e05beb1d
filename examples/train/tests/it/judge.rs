//! The program `judge`: from judged attempts over rows and a trained adapter to scores and a report, and what it refuses.

mod loop_of_all;
mod place;
mod refusals;
mod served;
