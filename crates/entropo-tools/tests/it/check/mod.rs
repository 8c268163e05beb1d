//! Reading logs, and running tests on candidates.

mod arbitrary;
mod broken;
mod logs;
mod run;
mod scorer;
mod trial;
