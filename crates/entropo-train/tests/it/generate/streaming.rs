//! Tokens as they come, and what ends them.

use std::sync::Arc;

use entropo_agent::StopReason;
use entropo_train::generate::{EngineError, GenerateRequest, StopRule, StopStrings, Streamed};
use entropo_train::text::Tokenizer;
use futures::StreamExt;

use super::{alone, decoders, engine, plain, request};
use crate::fixtures::bytes;

#[tokio::test]
async fn a_stream_is_the_reply_token_by_token() {
    let decoder = &decoders()[1];
    let ask = || GenerateRequest { top_logprobs: 3, ..request(&[1, 2, 3], 0.8, 20, 5) };
    let whole = alone(decoder, ask()).await;
    let engine = engine(decoder, plain());
    let mut items: Vec<_> = engine.stream(ask()).unwrap().map(Result::unwrap).collect().await;
    assert_eq!(items.pop(), Some(Streamed::End(whole.ending)));
    assert_eq!(items.len(), 20);
    for (index, item) in items.into_iter().enumerate() {
        let Streamed::Token(token) = item else { panic!("an end before the end") };
        assert_eq!((token.id, token.logprob), (whole.completion[index], whole.logprobs[index]));
        assert_eq!((token.entropy, &token.top), (whole.entropies[index], &whole.top[index]));
        assert!(token.top.len() == 3 && token.top.is_sorted_by(|a, b| a.1 >= b.1) && token.top[0].1 >= token.logprob);
    }
}

#[tokio::test]
async fn a_cancelled_stream_says_so() {
    let decoder = &decoders()[1];
    let engine = engine(decoder, plain());
    let ask = request(&[1, 2, 3], 1.0, 60, 5);
    let cancel = ask.cancel.clone();
    let mut stream = engine.stream(ask).unwrap();
    assert!(matches!(stream.next().await, Some(Ok(Streamed::Token(_)))));
    cancel.cancel();
    assert_eq!(stream.next().await, Some(Err(EngineError::Cancelled)));
    assert_eq!(stream.next().await, None);
}

/// Ends a reply after so many tokens.
struct Countdown(usize);

impl StopRule for Countdown {
    fn reached(&mut self, _: u32) -> bool {
        self.0 -= 1;
        self.0 == 0
    }
}

#[tokio::test]
async fn a_rule_ends_a_reply() {
    let decoder = &decoders()[1];
    let free = alone(decoder, request(&[1, 2, 3], 1.0, 20, 5)).await;
    let ruled = GenerateRequest { rule: Some(Box::new(Countdown(7))), ..request(&[1, 2, 3], 1.0, 20, 5) };
    let ruled = alone(decoder, ruled).await;
    assert_eq!((&ruled.completion[..], ruled.ending.stop), (&free.completion[..7], StopReason::EndOfTurn));
}

#[test]
fn strings_are_found_in_what_a_tokenizer_wrote() {
    let tokenizer = Tokenizer::from_bytes(&bytes("models/qwen2/checkpoint/tokenizer.json"), "qwen2").unwrap();
    let tokenizer = Arc::new(tokenizer);
    let text = "I look.\n<tool_call>\n{\"name\": \"look\"}\n</tool_call>\nand more";
    let ids = tokenizer.encode(text, entropo_train::text::SpecialText::Recognize).unwrap();
    let mut rule = StopStrings::new(["</tool_call>", "</function>"], {
        let tokenizer = Arc::clone(&tokenizer);
        move |ids: &[u32]| tokenizer.decode(ids, false).ok()
    });
    let end = ids.iter().position(|&id| rule.reached(id)).unwrap();
    let read = tokenizer.decode(&ids[..=end], false).unwrap();
    assert!(read.trim_end().ends_with("</tool_call>"), "{read}");
    assert!(!tokenizer.decode(&ids[..end], false).unwrap().contains("</tool_call>"));
}
