//! The settings that come with the program: each can be read, and says what the paper says.

use std::path::Path;

use entropo_train::adapter::Targets;
use entropo_train::objective::Objective;
use entropo_train::trainer::{Decay, Warmup};
use train::Settings;

const MODELS: [(&str, &str); 4] = [
    ("qwen2.5-coder-0.5b", "Qwen/Qwen2.5-Coder-0.5B-Instruct"),
    ("qwen2.5-coder-7b", "Qwen/Qwen2.5-Coder-7B-Instruct"),
    ("qwen3-coder-30b-a3b", "Qwen/Qwen3-Coder-30B-A3B-Instruct"),
    ("glm-4.5-air", "zai-org/GLM-4.5-Air"),
];

#[test]
fn every_model_has_every_stage_with_the_papers_settings() {
    let presets = Path::new(env!("CARGO_MANIFEST_DIR")).join("presets");
    for (directory, model) in MODELS {
        for (stage, name, tokens, epochs) in [
            ("sft", "sft", 18_000, 1),
            ("entropo-dpo", "entropo_dpo", 12_000, 1),
            ("entropo-kto", "entropo_kto", 18_000, 1),
            ("verifier", "sft", 60_000, 2),
        ] {
            let path = presets.join(directory).join(format!("{stage}.toml"));
            let settings = Settings::read(&path, &["data.train=[\"rows.jsonl\"]".to_owned()]).unwrap();
            settings.validate().unwrap();
            let lora = settings.lora.unwrap();
            assert_eq!((lora.rank, lora.alpha, lora.targets), (8, 16.0, Targets::AllLinear));
            let training = settings.training;
            assert_eq!((settings.model.as_str(), training.objective.name()), (model, name));
            assert_eq!((settings.data.rows.max_tokens, training.epochs), (Some(tokens), epochs));
            assert_eq!(training.learning_rate, 1e-5);
            assert_eq!((training.schedule.decay, training.schedule.warmup), (Decay::Cosine, Warmup::Share(0.1)));
            let coefficients = match training.objective {
                Objective::EntropoDpo(entropo) => Some((entropo.alpha, entropo.beta)),
                Objective::EntropoKto(entropo) => Some((entropo.alpha, entropo.beta)),
                _ => None,
            };
            assert!(coefficients.is_none_or(|found| found == (0.11, 0.1)));
        }
    }
}

/// Nothing can score what was trained with another prompt than that of `judge`.
#[test]
fn verifiers_train_on_rows_that_judge_makes_for_the_same_model() {
    let presets = Path::new(env!("CARGO_MANIFEST_DIR")).join("presets");
    for (directory, model) in MODELS {
        let path = presets.join(directory).join("verifier.toml");
        let settings = Settings::read(&path, &[]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let comments: Vec<&str> =
            text.lines().map_while(|line| line.strip_prefix("# ").or((line == "#").then_some(""))).collect();
        let commands = comments.join("\n").replace("\\\n", "");
        for command in [
            format!("judge -- rows --trajectories judged.jsonl --model {model} --to rows.jsonl"),
            format!("train -- examples/train/presets/{directory}/verifier.toml --set 'data.train=[\"rows.jsonl\"]'"),
            format!("judge -- score --trajectories others.jsonl --model {model}"),
            format!("--adapter {}/last --to scores.jsonl", settings.output.display()),
        ] {
            assert!(commands.contains(&command), "{command}: {commands}");
        }
        // A prompt is never longer than what `train` takes.
        assert_eq!(settings.data.rows.max_tokens, Some(60_000));
    }
}
