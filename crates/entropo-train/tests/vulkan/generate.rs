//! Generation from weights that a device has trained.

use burn::tensor::Device;
use entropo_agent::Sampling;
use entropo_train::checkpoint;
use entropo_train::data::Sequence;
use entropo_train::generate::{Engine, EngineConfig, GenerateRequest, HostDecoder};
use entropo_train::objective::{SequenceLogProbs, Sft};
use entropo_train::trainer::{Judgement, Learner, OptimizerConfig};

use crate::fixtures::root;
use crate::support::{host, ids};

/// What is learned: counting up from 5 by threes.
fn lesson() -> Sequence {
    let ids: Vec<u32> = (0..16).map(|position| 5 + 3 * position).collect();
    let actions = (0..ids.len()).map(|position| position >= 4).collect();
    Sequence::new("counting", ids, actions).unwrap()
}

#[tokio::test]
async fn what_the_device_learned_is_generated_on_the_host() {
    let device = Device::default().autodiff();
    let start = checkpoint::load(&root().join("models/qwen2/checkpoint"), &device).unwrap();
    let mut learner = Learner::new(start, &OptimizerConfig::default(), &device, 1);
    let lesson = lesson();
    let mut losses = Vec::new();
    for _ in 0..30 {
        let judge = |policy: &[f64]| {
            let sums: Vec<_> = policy
                .iter()
                .map(|&policy| SequenceLogProbs { policy, reference: 0.0, tokens: lesson.action_tokens(), turns: 1 })
                .collect();
            let evaluation = Sft::default().evaluate(&sums).unwrap();
            Ok(Judgement { loss: evaluation.loss, weights: evaluation.weights, metrics: evaluation.metrics })
        };
        losses.push(learner.step(&[&lesson], 1e-2, judge).unwrap().loss);
    }
    assert!(losses[29] < 0.1 * losses[0], "{losses:?}");

    let trained = learner.frozen();
    let engine =
        Engine::new(HostDecoder::new(&trained).unwrap(), EngineConfig { threads: 1, ..EngineConfig::default() });
    let prompt = lesson.ids()[..4].to_vec();
    let sampling = Sampling { temperature: 0.0, max_tokens: 12, ..Sampling::default() };
    let generated =
        engine.generate(GenerateRequest { prompt, sampling, ..GenerateRequest::default() }).await.unwrap().completion;
    assert_eq!(generated, lesson.ids()[4..], "what was learned");

    // One pass of the device over all of it: each token is the likeliest after those before it.
    let logits = host(trained.logits(ids(&[lesson.ids().to_vec()], &trained.device())));
    let rows: Vec<&[f32]> = logits.chunks(trained.config().vocab_size).collect();
    for (position, &token) in lesson.ids().iter().enumerate().skip(4) {
        let row = rows[position - 1];
        let likeliest = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        assert_eq!(likeliest as u32, token, "position {position}");
    }
}
