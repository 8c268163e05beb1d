//! Each optimiser's step, from outside.

use entropo_train::data::Sequence;
use entropo_train::trainer::{AdafactorConfig, AdamWConfig, Judgement, Learner, MuonConfig, OptimizerConfig};

use crate::support::{Named, assert_within, decoder, norm, sequences, weights};

fn configs() -> [OptimizerConfig; 3] {
    [
        OptimizerConfig::AdamW(AdamWConfig::default()),
        OptimizerConfig::Muon(MuonConfig::default()),
        OptimizerConfig::Adafactor(AdafactorConfig::default()),
    ]
}

/// Steps towards likelier actions; the negative mean of log-probabilities before each, and how the weights have moved.
fn steps(config: &OptimizerConfig, rate: f64, count: usize) -> (Vec<f64>, Named) {
    let start = decoder(1);
    let mut learner = Learner::new(start.clone(), config, &start.device(), 16).with_max_grad_norm(None);
    let sequences = sequences(6);
    let sequences: Vec<&Sequence> = sequences.iter().collect();
    let before = weights(&start);
    let step = |_| {
        let judge = |sums: &[f64]| {
            let loss = -sums.iter().sum::<f64>() / 40.0;
            Ok(Judgement { loss, weights: vec![-1.0 / 40.0; sums.len()], ..Judgement::default() })
        };
        learner.step(&sequences, rate, judge).unwrap().loss
    };
    let losses = (0..count).map(step).collect();
    let mut moved = weights(learner.decoder());
    for (name, values) in &mut moved {
        values.iter_mut().zip(&before[name]).for_each(|(after, before)| *after -= before);
    }
    (losses, moved)
}

#[test]
fn every_optimiser_goes_downhill() {
    for config in configs() {
        let (losses, moved) = steps(&config, 3e-3, 12);
        assert!(losses.windows(2).all(|pair| pair[1] < pair[0]), "{config:?}: {losses:?}");
        assert!(moved.values().all(|moved| norm(moved) > 0.0), "{config:?}: everything that learns has moved");
    }
}

/// AdamW's first step is the sign of the gradient.
#[test]
fn the_first_step_of_adamw_has_the_rate_in_every_number() {
    let (_, moved) = steps(&configs()[0], 1e-3, 1);
    for (name, moved) in moved {
        let far = moved.iter().filter(|moved| (moved.abs() - 1e-3).abs() < 1e-5).count();
        assert!(far * 10 >= moved.len() * 9 || name.contains("k_proj.bias"), "{name}: {far} of {}", moved.len());
    }
}

/// A matrix of a block moves by a multiple of an orthogonal matrix, as far as AdamW would; all else is AdamW's.
#[test]
fn muon_moves_all_directions_of_a_matrix_alike() {
    let rate = 1e-3;
    let (_, moved) = steps(&OptimizerConfig::Muon(MuonConfig::default()), rate, 1);
    let (_, by_adamw) = steps(&configs()[0], rate, 1);
    let name = "model.layers.0.mlp.down_proj.weight";
    let (rows, columns) = (8, 12);
    let step: Vec<f64> =
        moved[name].iter().map(|value| f64::from(*value) / (rate * 0.2 * (columns as f64).sqrt())).collect();
    for one in 0..rows {
        for other in 0..rows {
            let row = |row: usize| &step[row * columns..(row + 1) * columns];
            let product: f64 = row(one).iter().zip(row(other)).map(|(a, b)| a * b).sum();
            // Five iterations bring singular values to between 0.7 and 1.2, not to 1.
            let expected = if one == other { 0.95 } else { 0.0 };
            assert_within(&format!("{one} {other}"), product, expected, 0.5);
        }
    }
    for (name, moved) in &moved {
        let matrix = name.starts_with("model.layers.") && !name.contains("norm") && !name.ends_with("bias");
        assert_eq!(*moved != by_adamw[name], matrix, "{name}");
    }
}

/// No step of Adafactor is longer than the rate in each number, on average over squares.
#[test]
fn adafactor_bounds_its_steps() {
    let rate = 1e-3;
    let (_, moved) = steps(&configs()[2], rate, 1);
    for (name, moved) in moved {
        let mean_square = (norm(&moved) / (moved.len() as f64).sqrt()) / rate;
        assert!(mean_square > 0.3 && mean_square < 1.01, "{name}: {mean_square}");
    }
}

#[test]
fn weight_decay_shrinks_matrices_and_vectors_if_asked() {
    for (config, expected) in [
        (AdamWConfig { weight_decay: 0.5, ..AdamWConfig::default() }, false),
        (AdamWConfig { weight_decay: 0.5, decay_vectors: true, ..AdamWConfig::default() }, true),
    ] {
        let (_, plain) = steps(&AdamWConfig::default().into(), 1e-3, 1);
        let (_, decayed) = steps(&config.into(), 1e-3, 1);
        let before = weights(&decoder(1));
        for (name, shrunk) in [("model.norm.weight", expected), ("model.layers.1.mlp.up_proj.weight", true)] {
            let share = if shrunk { 1e-3 * 0.5 } else { 0.0 };
            for ((plain, decayed), before) in plain[name].iter().zip(&decayed[name]).zip(&before[name]) {
                assert_within(name, f64::from(plain - decayed), share * f64::from(*before), 1e-6);
            }
        }
    }
}
