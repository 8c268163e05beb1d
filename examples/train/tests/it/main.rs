//! The training program: settings, plans, runs.

#[cfg(test)]
mod command;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod measure;
#[cfg(test)]
mod presets;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod support;
#[cfg(test)]
mod trajectories;
