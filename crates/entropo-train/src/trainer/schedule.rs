//! The learning rate over a run.

use serde::{Deserialize, Serialize};

use super::error::{TrainError, setting};

/// How the learning rate rises and falls.
///
/// In TOML: `schedule = { decay = "linear", warmup = { steps = 100 }, floor = 0.1 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// How it falls after the warm-up. Default: [`Decay::Cosine`].
    pub decay: Decay,
    /// How long it rises linearly from 0 first. Default: a tenth of all steps.
    pub warmup: Warmup,
    /// The share of the highest rate that it falls to, in `[0, 1]`. Default: 0.
    pub floor: f64,
}

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Decay {
    /// Not at all.
    Constant,
    /// In a straight line.
    Linear,
    /// Along half a cosine.
    #[default]
    Cosine,
}

/// How long the learning rate rises.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Warmup {
    /// A share of all steps, in `[0, 1)`.
    Share(f64),
    /// So many steps.
    Steps(usize),
}

impl Default for Schedule {
    /// A cosine after a tenth of warm-up: the paper's setting.
    fn default() -> Self {
        Self::cosine(Warmup::Share(0.1))
    }
}

impl Schedule {
    /// The highest rate throughout.
    pub const CONSTANT: Self = Self { decay: Decay::Constant, warmup: Warmup::Steps(0), floor: 0.0 };

    /// Half a cosine to 0 after a warm-up.
    pub const fn cosine(warmup: Warmup) -> Self {
        Self { decay: Decay::Cosine, warmup, floor: 0.0 }
    }

    /// A straight line to 0 after a warm-up.
    pub const fn linear(warmup: Warmup) -> Self {
        Self { decay: Decay::Linear, warmup, floor: 0.0 }
    }

    /// What the highest rate is multiplied with in `step` of `steps`, counted from 0; in `[0, 1]`.
    pub fn factor(self, step: usize, steps: usize) -> f64 {
        let warm = match self.warmup {
            Warmup::Share(share) => (steps as f64 * share.clamp(0.0, 1.0)).round(),
            Warmup::Steps(warm) => warm as f64,
        };
        let step = step as f64;
        if step < warm {
            return (step + 1.0) / warm;
        }
        let progress = ((step - warm) / (steps as f64 - warm).max(1.0)).min(1.0);
        let left = match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear => 1.0 - progress,
            Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        };
        self.floor + (1.0 - self.floor) * left
    }

    /// Refuses values out of range.
    pub(super) fn validate(&self) -> Result<(), TrainError> {
        if let Warmup::Share(share) = self.warmup {
            setting("schedule.warmup.share", share, (0.0..1.0).contains(&share), "at least 0 and below 1")?;
        }
        setting("schedule.floor", self.floor, (0.0..=1.0).contains(&self.floor), "between 0 and 1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn factors(schedule: Schedule) -> Vec<f64> {
        (0..10).map(|step| schedule.factor(step, 10)).collect()
    }

    #[test]
    fn rises_then_falls() {
        for (schedule, middle) in
            [(Schedule::cosine(Warmup::Share(0.2)), 0.5), (Schedule::linear(Warmup::Steps(2)), 0.5)]
        {
            let factors = factors(schedule);
            assert_eq!(factors[..3], [0.5, 1.0, 1.0]);
            assert!((factors[6] - middle).abs() < 1e-12, "{factors:?}");
            assert!(factors[2..].windows(2).all(|pair| pair[0] > pair[1]) && factors[9] > 0.0);
        }
        assert_eq!(factors(Schedule::CONSTANT), [1.0; 10]);
        let constant = Schedule { warmup: Warmup::Steps(4), ..Schedule::CONSTANT };
        assert_eq!(factors(constant)[..5], [0.25, 0.5, 0.75, 1.0, 1.0]);
    }

    #[test]
    fn the_floor_is_where_it_ends() {
        let schedule = Schedule { floor: 0.25, ..Schedule::linear(Warmup::Steps(0)) };
        let factors: Vec<f64> = (0..5).map(|step| schedule.factor(step, 4)).collect();
        assert_eq!(factors, [1.0, 0.8125, 0.625, 0.4375, 0.25]);
    }

    #[test]
    fn a_warmup_longer_than_the_run_never_falls() {
        let schedule = Schedule::cosine(Warmup::Steps(20));
        assert_eq!(schedule.factor(9, 10), 0.5);
        assert_eq!(Schedule::default().factor(0, 0), 1.0);
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        let parse = serde_json::from_str::<Schedule>;
        let text = r#"{"decay":"linear","warmup":{"steps":100},"floor":0.1}"#;
        let schedule = parse(text).unwrap();
        assert_eq!(schedule, Schedule { floor: 0.1, ..Schedule::linear(Warmup::Steps(100)) });
        assert_eq!(serde_json::to_string(&schedule).unwrap(), text);
        assert_eq!(parse("{}").unwrap(), Schedule::default());
        for text in [r#"{"decay":"cubic"}"#, r#"{"warmup":{"epochs":1}}"#, r#"{"warm":1}"#, r#"{"warmup":0.1}"#] {
            assert!(parse(text).is_err(), "{text}");
        }
        for (text, name) in
            [(r#"{"warmup":{"share":1.0}}"#, "schedule.warmup.share"), (r#"{"floor":1.5}"#, "schedule.floor")]
        {
            let error = parse(text).unwrap().validate().unwrap_err();
            assert!(matches!(&error, TrainError::Setting { name: found, .. } if *found == name), "{text}: {error}");
        }
    }
}
