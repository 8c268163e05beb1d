//! `{% generation %}` and `{% endgeneration %}`, which transformers adds to jinja2: between them is what the assistant
//! wrote.

/// The variable that holds the mark for the start of what the assistant wrote.
pub(super) const START: &str = "entropo_generation_start";
/// The variable that holds the mark for its end.
pub(super) const END: &str = "entropo_generation_end";

/// Replaces the tags by a `with` block (what is set inside stays inside, as in transformers) whose first and last
/// output are the marks. Whitespace control stays as it is. `None` if there are no tags.
pub(super) fn mark(source: &str) -> Option<String> {
    let mut marked = String::with_capacity(source.len());
    let (mut rest, mut any) = (source, false);
    while let Some(start) = rest.find("{%") {
        let (text, tag) = rest.split_at(start);
        marked.push_str(text);
        match replaced(tag) {
            Some((length, replacement)) => {
                any = true;
                marked.push_str(&replacement);
                rest = tag.get(length..).unwrap_or_default();
            }
            None => {
                marked.push_str("{%");
                rest = tag.strip_prefix("{%").unwrap_or_default();
            }
        }
    }
    marked.push_str(rest);
    any.then_some(marked)
}

/// The length of the generation tag that `tag` starts with, and what replaces it.
fn replaced(tag: &str) -> Option<(usize, String)> {
    let inner = tag.strip_prefix("{%")?;
    let unsigned = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    let left = inner.strip_suffix(unsigned)?;
    let named = unsigned.trim_start();
    let (name, after) =
        ["generation", "endgeneration"].into_iter().find_map(|name| Some((name, named.strip_prefix(name)?)))?;
    let signed = after.trim_start();
    let (right, after) = match signed.strip_prefix(['-', '+']) {
        Some(after) => (signed.strip_suffix(after)?, after),
        None => ("", signed),
    };
    let rest = after.strip_prefix("%}")?;
    let replacement = match name {
        "generation" => format!("{{%{left} with %}}{{{{ {START} }}}}{{% if true %}}{{% endif {right}%}}"),
        _ => format!("{{%{left} if true %}}{{% endif %}}{{{{ {END} }}}}{{% endwith {right}%}}"),
    };
    Some((tag.len() - rest.len(), replacement))
}
