//! A verifier that is trained here, asked here and asked over HTTP says the same.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use entropo::agent::CancellationToken;
use entropo::agent::model::http::Connection;
use entropo::agent::model::openai::OpenAi;
use entropo::agent::verifier::{JudgePrompt, ServedVerifier};
use entropo::core::{ExitReason, Message, RolloutId, Trajectory};
use entropo::train::LocalModel;
use entropo::train::burn::tensor::Device;
use entropo::train::decoder::{Decoder, DecoderConfig};
use entropo::train::objective::{Objective, Sft};
use entropo::train::text::ChatFormat;
use entropo::train::trainer::{TrainConfig, Training};
use entropo::train::verifier::{Balance, Judging, Learned, LocalVerifier, judgements};

use crate::served::{RANDOM, Served, config};

const WORDS: [&str; 4] = ["self", "args", "string", "group"];

/// Right if the patch has the one word and not the other; what an answer lists tells nothing.
fn attempt(number: usize) -> Trajectory {
    let right = number % 2 == 0;
    let id = RolloutId::new(format!("t{}", number / 2), number);
    let mut trajectory = Trajectory::empty(id, "m", 0, ExitReason::Agent);
    let seen = WORDS[number / 2 % 4];
    trajectory.messages = vec![Message::user(format!("Fix {seen}.")), Message::assistant("Done.")];
    trajectory.outcome.patch = format!("+ {} {}\n", WORDS[number / 3 % 4], if right { "help" } else { "None" });
    trajectory.outcome.reward = Some(f64::from(u8::from(right)));
    trajectory
}

fn prompt() -> JudgePrompt {
    JudgePrompt {
        system: String::new(),
        question: "?".to_owned(),
        affirmative: "action".to_owned(),
        negative: "option".to_owned(),
        ..JudgePrompt::default()
    }
}

fn trained(judging: &Judging) -> Decoder {
    let shape = r#"{"model_type": "qwen2", "vocab_size": 480, "hidden_size": 32, "intermediate_size": 48,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
        "tie_word_embeddings": true}"#;
    let start = Decoder::new(&DecoderConfig::from_json(shape, "a tiny judge").unwrap(), 7, &Device::default());
    let attempts: Vec<Trajectory> = (0..96).map(attempt).collect();
    let examples = judgements(judging, &Balance::default(), &attempts, Learned::Right).unwrap().examples;
    let objective = Objective::Sft(Sft::default());
    let settings = TrainConfig { objective, epochs: 6, batch_size: 16, learning_rate: 3e-3, ..TrainConfig::default() };
    let training = Training::new(&start, &examples, settings, &Device::default(), None).unwrap();
    training.run(|_, _| ControlFlow::Continue(())).unwrap()
}

#[tokio::test]
async fn local_and_served_scores_agree() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(RANDOM);
    let open = || ChatFormat::from_dir(&directory).unwrap();
    let judging = Judging::new(Arc::new(open()), prompt(), 256).unwrap();
    let decoder = trained(&judging);
    let attempts: Vec<Trajectory> = (200..216).map(attempt).collect();
    let attempts: Vec<&Trajectory> = attempts.iter().collect();
    let local = LocalVerifier::new(&decoder, &judging).score(&attempts);

    let served = Served::of_model(LocalModel::new("tiny", &decoder, open(), config()).unwrap(), None).await;
    let client = OpenAi::new(Connection::new(format!("http://{}/v1", served.address)), "tiny").unwrap();
    let remote = ServedVerifier::new(client, prompt(), 256).unwrap().reply(2);
    let remote = remote.score(&attempts, &CancellationToken::new()).await;

    let mut most = 0f64;
    for (local, remote) in local.iter().zip(&remote) {
        assert_eq!(local.rollout, remote.rollout);
        let [local, remote] = [local, remote].map(|scored| *scored.judgement.as_ref().unwrap());
        // The server lists 20 of 480 tokens: what it leaves out of an answer's variants is less likely than all of them.
        most = most.max((local.probability() - remote.probability()).abs());
        assert!((local.probability() - remote.probability()).abs() < 1e-3, "{local:?} {remote:?}");
    }
    let told: Vec<f64> = remote.iter().map(|scored| scored.judgement.as_ref().unwrap().probability()).collect();
    println!("largest difference {most:.1e}; probabilities {told:.3?}");
    let spread = told.iter().copied().fold(0.0, f64::max) - told.iter().copied().fold(1.0, f64::min);
    assert!(spread > 0.1, "a judge that says the same of all agrees with anybody: {told:?}");
}
