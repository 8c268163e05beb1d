//! Draws the plots of an evaluation into a folder, as SVG and as PNG.
//!
//! `cargo run -p entropo-core --features png --example plots -- FOLDER`. The evaluation is simulated: 60 tasks of unequal
//! difficulty, 16 rollouts each, and a verifier that sees through a haze. The numbers are what `stats` makes of it.

use std::error::Error;
use std::path::{Path, PathBuf};

use entropo_core::plot::{Curve, Drawing, ForestRow, Verifier, best_at_k, forest, reliability};
use entropo_core::stats::{self, Bins, Bootstrap, Interval};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ROLLOUTS: usize = 16;

/// Whether a rollout solved its task, and what the verifier thinks of it.
type Rollout = (bool, f64);

fn main() -> Result<(), Box<dyn Error>> {
    let folder: PathBuf = std::env::args_os().nth(1).ok_or("name a folder to write to")?.into();
    let tasks = simulated();
    let curves = [("any of k (pass@k)", any as fn(&[Rollout]) -> f64), ("verifier", by_verifier), ("first", first)];
    let drawn = curves.map(|(name, choose)| Ok(Curve { name: name.to_owned(), points: points(&tasks, choose)? }));
    let drawn = drawn.into_iter().collect::<Result<Vec<_>, stats::StatsError>>()?;
    write(&folder, "best-at-k", &best_at_k("Best of k rollouts, 60 simulated tasks", &drawn)?)?;

    let of = |choose: fn(&[Rollout]) -> f64| -> Vec<f64> { tasks.iter().map(|task| choose(task)).collect() };
    let difference = |name: &str, choose| -> Result<ForestRow, stats::StatsError> {
        let interval = Bootstrap::default().difference(&of(choose), &of(by_verifier))?;
        Ok(ForestRow { name: name.to_owned(), interval })
    };
    let rows =
        [difference("no verifier", first)?, difference("half the rollouts", half)?, difference("an oracle", any)?];
    let points = |value: f64| format!("{:+.0}", 100.0 * value);
    write(&folder, "ablations", &forest("Against the verifier's choice, percentage points", &rows, points)?)?;

    let all: Vec<Rollout> = tasks.into_iter().flatten().collect();
    let (solved, scores): (Vec<bool>, Vec<f64>) = all.into_iter().unzip();
    let bins = stats::reliability(&scores, &solved, Bins::EqualWidth(8))?;
    let verifier = Verifier { name: "verifier, not calibrated".to_owned(), bins };
    write(&folder, "reliability", &reliability("Reliability, 960 simulated rollouts", &[verifier])?)
}

fn write(folder: &Path, name: &str, drawing: &Drawing) -> Result<(), Box<dyn Error>> {
    std::fs::write(folder.join(format!("{name}.svg")), drawing.svg())?;
    std::fs::write(folder.join(format!("{name}.png")), drawing.png(1.5)?)?;
    Ok(())
}

fn simulated() -> Vec<Vec<Rollout>> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let task = |_| {
        let rate = random.random::<f64>().powi(2);
        let rollout = |_| {
            let solved = random.random::<f64>() < rate;
            let haze = random.random::<f64>() + random.random::<f64>() - 1.0;
            (solved, (0.5 + if solved { 0.2 } else { -0.1 } + 0.4 * haze).clamp(0.0, 1.0))
        };
        (0..ROLLOUTS).map(rollout).collect()
    };
    (0..60).map(task).collect()
}

/// The interval for each k over tasks, with the first k rollouts of each.
fn points(tasks: &[Vec<Rollout>], choose: fn(&[Rollout]) -> f64) -> Result<Vec<(usize, Interval)>, stats::StatsError> {
    let at = |k: usize| {
        let values: Vec<f64> = tasks.iter().map(|task| choose(task.get(..k).unwrap_or(task))).collect();
        Ok((k, Bootstrap::default().mean(&values)?))
    };
    (1..=ROLLOUTS).map(at).collect()
}

fn any(rollouts: &[Rollout]) -> f64 {
    f64::from(rollouts.iter().any(|rollout| rollout.0))
}

fn first(rollouts: &[Rollout]) -> f64 {
    f64::from(rollouts.first().is_some_and(|rollout| rollout.0))
}

fn half(rollouts: &[Rollout]) -> f64 {
    by_verifier(rollouts.get(..rollouts.len() / 2).unwrap_or(rollouts))
}

fn by_verifier(rollouts: &[Rollout]) -> f64 {
    let best = rollouts.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    f64::from(best.is_some_and(|rollout| rollout.0))
}
