//! candle's Qwen2 generating greedily, measured as every peer is (see ../../README.md).

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::{D, DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::qwen2::{Config, ModelForCausalLM};
use clap::Parser;
use peers::{Case, Timing, prompt, reset_peak, resident};
use serde_json::Value;

#[derive(Parser)]
struct Arguments {
    #[arg(long)]
    checkpoint: PathBuf,
    /// float32, bfloat16 or float16.
    #[arg(long, default_value = "float32")]
    dtype: String,
    #[arg(long, default_value_t = 1)]
    batch: usize,
    #[arg(long, default_value_t = 512)]
    prompt_tokens: usize,
    #[arg(long, default_value_t = 128)]
    new_tokens: usize,
    /// Runs, of which the best counts; one more goes before as warm-up.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let dtype = match arguments.dtype.as_str() {
        "float32" => DType::F32,
        "bfloat16" => DType::BF16,
        "float16" => DType::F16,
        other => return Err(format!("dtype {other}: expected float32, bfloat16 or float16").into()),
    };
    let baseline_rss_bytes = resident("VmRSS");
    let start = Instant::now();
    let mut model = load(&arguments.checkpoint, dtype)?;
    let load_s = start.elapsed().as_secs_f64();
    let peak_loading = resident("VmHWM");
    reset_peak()?;

    let rows: Vec<u32> = (0..arguments.batch).flat_map(|row| prompt(row, arguments.prompt_tokens)).collect();
    let prompts = Tensor::from_vec(rows, (arguments.batch, arguments.prompt_tokens), &Device::Cpu)?;
    generate(&mut model, &prompts.narrow(1, 0, arguments.prompt_tokens.min(32))?, 4)?;
    let (mut best, tokens) = generate(&mut model, &prompts, arguments.new_tokens)?;
    for _ in 1..arguments.repeats {
        best = best.best(generate(&mut model, &prompts, arguments.new_tokens)?.0);
    }

    let batch = arguments.batch as f64;
    let peak_rss_generating_bytes = resident("VmHWM");
    let case = Case {
        peer: "candle",
        version: "0.11.1",
        dtype: arguments.dtype,
        batch: arguments.batch,
        prompt_tokens: arguments.prompt_tokens,
        new_tokens: arguments.new_tokens,
        threads: candle_core::utils::get_num_threads(),
        prefill_tokens_per_s: batch * arguments.prompt_tokens as f64 / best.prefill.as_secs_f64(),
        decode_tokens_per_s: batch * (arguments.new_tokens - 1) as f64 / best.decode.as_secs_f64(),
        peak_rss_bytes: peak_loading.max(peak_rss_generating_bytes),
        peak_rss_generating_bytes,
        baseline_rss_bytes,
        load_s,
        tokens,
    };
    println!("{}", serde_json::to_string(&case)?);
    Ok(())
}

fn load(checkpoint: &Path, dtype: DType) -> Result<ModelForCausalLM, Box<dyn Error>> {
    let config = config(&serde_json::from_str(&fs::read_to_string(checkpoint.join("config.json"))?)?)?;
    let mut shards: Vec<PathBuf> = fs::read_dir(checkpoint)?
        .map(|entry| Ok(entry?.path()))
        .filter(|path: &std::io::Result<PathBuf>| {
            path.as_ref().is_ok_and(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
        })
        .collect::<std::io::Result<_>>()?;
    shards.sort();
    // SAFETY: nobody writes to the checkpoint while the benchmark runs.
    let weights = unsafe { VarBuilder::from_mmaped_safetensors(&shards, dtype, &Device::Cpu)? };
    Ok(ModelForCausalLM::new(&config, weights)?)
}

/// candle's configuration from `config.json`, whose keys may be those of transformers 5, which candle does not read.
fn config(json: &Value) -> Result<Config, Box<dyn Error>> {
    let number = |key: &str| json[key].as_u64().map(|value| value as usize).ok_or(format!("config.json: no {key}"));
    let rope_theta = json["rope_parameters"]["rope_theta"].as_f64().or(json["rope_theta"].as_f64());
    let max_position_embeddings = number("max_position_embeddings")?;
    Ok(Config {
        vocab_size: number("vocab_size")?,
        hidden_size: number("hidden_size")?,
        intermediate_size: number("intermediate_size")?,
        num_hidden_layers: number("num_hidden_layers")?,
        num_attention_heads: number("num_attention_heads")?,
        num_key_value_heads: number("num_key_value_heads")?,
        max_position_embeddings,
        // candle applies the window whatever `use_sliding_window` says.
        sliding_window: max_position_embeddings,
        max_window_layers: number("max_window_layers")?,
        tie_word_embeddings: json["tie_word_embeddings"].as_bool().unwrap_or(false),
        rope_theta: rope_theta.ok_or("config.json: no rope_theta")?,
        rms_norm_eps: json["rms_norm_eps"].as_f64().ok_or("config.json: no rms_norm_eps")?,
        use_sliding_window: false,
        hidden_act: candle_nn::Activation::Silu,
    })
}

/// Greedy generation for every row of `prompts` (`[batch, prompt]`); the tokens are those of the first row.
fn generate(
    model: &mut ModelForCausalLM,
    prompts: &Tensor,
    new_tokens: usize,
) -> Result<(Timing, Vec<u32>), Box<dyn Error>> {
    model.clear_kv_cache();
    let start = Instant::now();
    let (_batch, mut position) = prompts.dims2()?;
    // [batch, 1]
    let mut next = model.forward(prompts, 0)?.argmax(D::Minus1)?;
    let prefill = start.elapsed();
    let mut tokens = vec![next.get(0)?.to_vec1::<u32>()?[0]];
    for _ in 1..new_tokens {
        next = model.forward(&next, position)?.argmax(D::Minus1)?;
        position += 1;
        tokens.push(next.get(0)?.to_vec1::<u32>()?[0]);
    }
    Ok((Timing { prefill, decode: start.elapsed() - prefill }, tokens))
}
