//! Decoder, objectives, trainer and local model of entropo, on burn.
//!
//! The crate closes the loop between acting and learning. A [`LocalModel`] acts: it is an
//! [`entropo_agent::ChatModel`] over a checkpoint on this machine, and tells the agent loop which tokens it read and
//! sampled. Those very tokens, never a re-tokenised text, become [`data::Sequence`]s whose action tokens are marked. A
//! [`trainer::Training`] run makes the actions of solved attempts likelier and those of failed ones less likely, as an
//! [`objective`] says, and the trained decoder goes back into a `LocalModel`.
//!
//! # How the parts fit
//!
//! * [`decoder`]: the policy, a causal language model whose shape is read from a Hugging Face `config.json`.
//! * [`checkpoint`]: its weights, from and to `model.safetensors`.
//! * `hub`, with the feature of that name: checkpoints by their Hugging Face id.
//! * [`adapter`]: LoRA, a small change that is trained instead of the weights, in PEFT's files.
//! * [`text`]: tokenizer, chat template, and which tokens the assistant wrote.
//! * [`generate`]: batched sampling whose result for a request does not depend on the other requests.
//! * [`data`] and [`logprob`]: batches of sequences, and the log-probabilities of their action tokens.
//! * [`objective`]: SFT, DPO, KTO, EntroPO and a verifier as pure functions of sums of log-probabilities
//!   (`docs/architecture.md`, rule 5; arXiv 2509.12434).
//! * [`trainer`]: optimisers, schedules, a cached reference, evaluations, and a state from which a killed run goes on bit
//!   for bit.
//! * [`verifier`]: judging attempts: examples to train a judge on, and the scores of one (`docs/verifier.md`).
//! * [`monitor`]: a run's metrics, TensorBoard files, progress line and report.
//!
//! # An example
//!
//! One pair of attempts at one task, from a random decoder; after a few updates the chosen one is preferred.
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use entropo_train::burn::tensor::Device;
//! use entropo_train::data::{Example, Sequence};
//! use entropo_train::decoder::{Decoder, DecoderConfig};
//! use entropo_train::objective::{EntropoDpo, Objective};
//! use entropo_train::trainer::{TrainConfig, Training};
//!
//! let config = DecoderConfig::from_json(
//!     r#"{"model_type": "qwen2", "vocab_size": 16, "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1,
//!         "num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": true}"#,
//!     "an example",
//! )?;
//! let device = Device::default();
//! let start = Decoder::new(&config, 0, &device);
//!
//! // Two prompt tokens, then two actions; what a tool answers would be unmarked again.
//! let attempt = |id: &str, actions: [u32; 2]| {
//!     Sequence::new(id, [1, 2].into_iter().chain(actions).collect(), vec![false, false, true, true])
//! };
//! let pairs = [Example::Preference { chosen: attempt("chosen", [3, 4])?, rejected: attempt("rejected", [5, 6])? }];
//!
//! let objective = Objective::EntropoDpo(EntropoDpo { alpha: 0.2, beta: 0.1, ..EntropoDpo::default() });
//! let settings = TrainConfig { objective, epochs: 20, learning_rate: 1e-2, ..TrainConfig::default() };
//! let mut losses = Vec::new();
//! let training = Training::new(&start, &pairs, settings, &device, None)?;
//! let _trained: Decoder = training.run(|record, _| {
//!     losses.push(record.loss);
//!     ControlFlow::Continue(())
//! })?;
//! assert!(losses.last() < losses.first());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use burn;

pub mod adapter;
pub mod checkpoint;
pub mod data;
pub mod decoder;
pub mod generate;
#[cfg(feature = "hub")]
pub mod hub;
pub mod local_model;
pub mod logprob;
pub mod monitor;
pub mod objective;
pub(crate) mod ops;
pub mod text;
pub mod trainer;
pub mod verifier;

pub use local_model::{LocalModel, LocalModelError};
