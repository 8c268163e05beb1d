//! The policy's tokenizer and chat template.
//!
//! Byte-level BPE learned from transcripts. Words never carry a space, so a name is the same token wherever it stands;
//! digits are single; and the fixed parts of a tool call are one token each, so that no value merges with its frame.

use entropo::train::text::{ChatFormat, ChatTemplate, EncodeError, Tokenizer};
use serde_json::json;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::tokenizer::SplitDelimiterBehavior;
use tokenizers::{AddedToken, TokenizerBuilder};

/// The chat template's source.
pub const CHAT_TEMPLATE: &str = include_str!("../checkpoint/chat_template.jinja");
/// Ends a turn.
pub const END_OF_TURN: &str = "<|im_end|>";

const SPECIAL: [&str; 3] = ["<|pad|>", "<|im_start|>", END_OF_TURN];
const FRAME: [&str; 5] = [
    "<tool_call>\n<function=",
    ">\n<parameter=",
    "\n</parameter>\n<parameter=",
    "\n</parameter>\n</function>\n</tool_call>",
    ">\n</function>\n</tool_call>",
];
const WORDS: &str = "[A-Za-z_]+|[0-9]|[^A-Za-z0-9_]+";
/// More merges than closed pools of names allow.
const LARGEST: usize = 1024;

/// Learns a tokenizer from transcripts; the result is the text of a `tokenizer.json`.
pub fn learn_tokenizer(transcripts: impl Iterator<Item = String> + Send) -> Result<String, tokenizers::Error> {
    let split = Split::new(SplitPattern::Regex(WORDS.to_owned()), SplitDelimiterBehavior::Isolated, false)?;
    let bytes = ByteLevel::new(false, false, false);
    let mut tokenizer = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(None::<tokenizers::NormalizerWrapper>)
        .with_pre_tokenizer(Some(Sequence::new(vec![split.into(), bytes.into()])))
        .with_post_processor(Some(bytes))
        .with_decoder(Some(bytes))
        .build()?;
    let special = SPECIAL.iter().map(|text| AddedToken::from(*text, true));
    let mut trainer = BpeTrainer::builder()
        .vocab_size(LARGEST - FRAME.len() - 1)
        .min_frequency(20)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(special.collect())
        .build();
    tokenizer.train(&mut trainer, transcripts)?;
    let frame: Vec<AddedToken> = FRAME.iter().chain(&[">\n"]).map(|text| AddedToken::from(*text, false)).collect();
    tokenizer.add_tokens(frame)?;
    tokenizer.to_string(true)
}

/// The `tokenizer_config.json` that goes with it.
pub fn tokenizer_config() -> String {
    let config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END_OF_TURN,
        "pad_token": SPECIAL.first(),
        "clean_up_tokenization_spaces": false,
        "chat_template": CHAT_TEMPLATE,
    });
    format!("{config:#}\n")
}

/// Tokenizer and template put together.
pub fn chat_format(tokenizer_json: &[u8]) -> Result<ChatFormat, EncodeError> {
    let template = ChatTemplate::new(CHAT_TEMPLATE, [("eos_token", END_OF_TURN)])?;
    Ok(ChatFormat::new(Tokenizer::from_bytes(tokenizer_json, "tokenizer.json")?, template))
}
