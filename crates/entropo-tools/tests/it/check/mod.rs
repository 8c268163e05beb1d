//! Reading logs, and running tests on candidates.

mod arbitrary;
mod logs;
mod run;
