//! What servers write, made fit to be read by a model.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::Value;

/// Bytes of an answer that are shown.
const MOST: usize = 100_000;

/// The beginning of `text`, at most so many bytes of it.
pub(super) fn shortened(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}

/// An answer as text. What is no text is described in a line; what is too long loses its middle.
pub(super) fn answer(result: &CallToolResult) -> String {
    let blocks: Vec<String> = result.content.iter().map(block).collect();
    let text = match &result.structured_content {
        Some(value) if blocks.is_empty() => value.to_string(),
        _ => blocks.join("\n"),
    };
    if text.len() <= MOST {
        return text;
    }
    let head = shortened(&text, MOST / 2);
    let tail = text.get(text.ceil_char_boundary(text.len() - MOST / 2)..).unwrap_or_default();
    format!("{head}\n[{} bytes were left out]\n{tail}", text.len() - head.len() - tail.len())
}

fn block(block: &ContentBlock) -> String {
    if let ContentBlock::Text(text) = block {
        return text.text.clone();
    }
    // The rest is described by what all kinds have in common on the wire.
    let value = serde_json::to_value(block).unwrap_or_default();
    let field = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let resource = value.get("resource").unwrap_or(&value);
    if let Some(text) = field(resource, "text") {
        return text;
    }
    let kind = field(&value, "type").unwrap_or_else(|| "content".to_owned());
    let told = ["uri", "mimeType", "name"].into_iter().filter_map(|name| field(resource, name));
    format!("[{kind}: {}]", told.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(content: Value) -> String {
        answer(&serde_json::from_value(json!({"content": content})).unwrap())
    }

    #[test]
    fn what_is_no_text_is_described() {
        let image = json!({"type": "image", "data": "aGk=", "mimeType": "image/png"});
        assert_eq!(shown(json!([{"type": "text", "text": "a"}, image])), "a\n[image: image/png]");
        let resource = json!({"type": "resource", "resource": {"uri": "file:///a", "text": "b"}});
        let link = json!({"type": "resource_link", "uri": "file:///c", "name": "c"});
        assert_eq!(shown(json!([resource, link])), "b\n[resource_link: file:///c, c]");
        let structured = json!({"content": [], "structuredContent": {"n": 1}});
        assert_eq!(answer(&serde_json::from_value(structured).unwrap()), "{\"n\":1}");
    }

    #[test]
    fn what_is_too_long_loses_its_middle() {
        let long = shown(json!([{"type": "text", "text": "ä".repeat(MOST)}]));
        assert!(long.len() < MOST + 100 && long.contains("[100000 bytes were left out]"));
    }
}
