//! The Jinja that chat templates are written for: jinja2 as transformers sets it up.

use std::time::SystemTime;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, Error, ErrorKind};

use super::clock::Date;
use super::json;

/// The name under which the template is known in errors.
pub(super) const TEMPLATE: &str = "chat template";
/// The variable that holds the mark for the start of what the assistant wrote.
pub(super) const GENERATION_START: &str = "entropo_generation_start";
/// The variable that holds the mark for its end.
pub(super) const GENERATION_END: &str = "entropo_generation_end";
/// How much work a template may do: about as many instructions, or 64 times as many bytes. Real templates need less
/// than a thousand for a message.
const FUEL: u64 = 20_000_000;

/// What `raise_exception` was called with.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Raised(pub(super) String);

/// Parses a template into an environment of its own.
pub(super) fn environment(source: &str, now: SystemTime) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_fuel(Some(FUEL));
    environment.set_formatter(|out, state, value| match json::float(value) {
        Some(number) => out.write_str(&number).map_err(Error::from),
        None => minijinja::escape_formatter(out, state, value),
    });
    environment.add_filter("tojson", json::tojson);
    environment.add_filter("string", |value: &Value| match json::float(value) {
        Some(number) => number,
        None => value.to_string(),
    });
    environment.add_test("iterable", |value: &Value| !value.is_none() && value.try_iter().is_ok());
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, "raise_exception").with_source(Raised(message)))
    });
    let date = Date::new(now);
    environment.add_function("strftime_now", move |format: String| {
        date.format(&format).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidOperation,
                format!("strftime_now: {format:?} has a field that is not supported"),
            )
        })
    });
    environment.add_template_owned(TEMPLATE, mark_generation(source))?;
    Ok(environment)
}

/// Replaces `{% generation %}` and `{% endgeneration %}`, which transformers adds to jinja2, by a `with` block (what is
/// set inside stays inside, as there) whose first and last output are the marks. Whitespace control stays as it is.
fn mark_generation(source: &str) -> String {
    let mut marked = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (text, tag) = rest.split_at(start);
        marked.push_str(text);
        match generation_tag(tag) {
            Some((length, replacement)) => {
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
    marked
}

/// The length of the generation tag that `tag` starts with, and what replaces it.
fn generation_tag(tag: &str) -> Option<(usize, String)> {
    let length = tag.find("%}")? + "%}".len();
    let inner = tag.get("{%".len()..length - "%}".len())?;
    let unsigned = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    let left = inner.strip_suffix(unsigned)?;
    let name = unsigned.strip_suffix(['-', '+']).unwrap_or(unsigned);
    let right = unsigned.strip_prefix(name)?;
    let replacement = match name.trim() {
        "generation" => {
            format!("{{%{left} with %}}{{{{ {GENERATION_START} }}}}{{% if true %}}{{% endif {right}%}}")
        }
        "endgeneration" => {
            format!("{{%{left} if true %}}{{% endif %}}{{{{ {GENERATION_END} }}}}{{% endwith {right}%}}")
        }
        _ => return None,
    };
    Some((length, replacement))
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    fn render(source: &str) -> String {
        let environment = environment(source, SystemTime::UNIX_EPOCH).unwrap();
        let variables = [(GENERATION_START, "["), (GENERATION_END, "]")];
        environment.get_template(TEMPLATE).unwrap().render(Value::from_pairs(variables)).unwrap()
    }

    #[test]
    fn generation_tags_keep_whitespace_control() {
        assert_eq!(render("a {%- generation -%} b {%- endgeneration -%} c"), "a[b]c");
        assert_eq!(render("a {% generation %} b {%endgeneration%} c"), "a [ b ] c");
        // As any block tag: the line's indentation and the line break after it go, unless a plus keeps them.
        assert_eq!(render("a\n  {% generation %}\n  b\n  {% endgeneration %}\nc"), "a\n[  b\n]c");
        assert_eq!(render("a\n  {%+ generation %}\n  b\n  {% endgeneration +%}\nc"), "a\n  [  b\n]\nc");
    }

    #[test]
    fn variables_set_inside_generation_stay_inside() {
        assert_eq!(render("{% set x = 1 %}{% generation %}{% set x = 2 %}{{ x }}{% endgeneration %}{{ x }}"), "[2]1");
    }

    #[test]
    fn generation_tags_must_be_paired() {
        for source in ["{% generation %}", "{% endgeneration %}", "{% if x %}{% generation %}{% endif %}"] {
            assert!(environment(source, SystemTime::UNIX_EPOCH).is_err(), "{source}");
        }
    }

    #[test]
    fn values_print_as_in_python() {
        assert_eq!(
            render("{{ 1e16 }} {{ 1.0 }} {{ true }} {{ none }} {{ (1e-7) | string }}"),
            "1e+16 1.0 True None 1e-07"
        );
        assert_eq!(render("{{ '<a>' }} {{ ' x '.strip() }} {{ 'a,b'.split(',')[-1] }}"), "<a> x b");
        assert_eq!(render("{{ none is iterable }} {{ 'a' is iterable }} {{ [] is iterable }}"), "False True True");
        assert_eq!(render("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}"), "01");
        assert_eq!(render("{% set n = namespace(a=1) %}{% if true %}{% set n.a = 2 %}{% endif %}{{ n.a }}"), "2");
    }

    #[test]
    fn dates_come_from_the_given_clock() {
        assert_eq!(render("{{ strftime_now('%d %b %Y') }}"), "01 Jan 1970");
        let environment = environment("{{ strftime_now('%Q') }}", SystemTime::UNIX_EPOCH).unwrap();
        let error = environment.get_template(TEMPLATE).unwrap().render(context! {}).unwrap_err();
        assert!(error.to_string().contains("%Q"), "{error}");
    }
}
