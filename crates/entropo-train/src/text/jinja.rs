//! The Jinja that chat templates are written for: jinja2 as transformers sets it up.
//!
//! A template is somebody else's program, so what it may use is bounded: its length, the stack that parsing it takes,
//! and, by minijinja's fuel, the work and the memory of rendering it. One thing is not: what minijinja's own operators
//! do with lists and dictionaries that a template has nested into each other many times over. Comparing two of them, or
//! gluing one to a text, is done in one go, however long that takes.

use std::thread;
use std::time::SystemTime;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, filters};

use super::clock::Date;
use super::template_error::TemplateError;
use super::{generation, json, methods, print};

/// The name under which the template is known in errors.
const TEMPLATE: &str = "chat template";
/// The longest source. The longest published templates have 30,000 bytes; minijinja's parser takes time that grows with
/// the square of the length of a chain of operators.
pub(super) const LONGEST: usize = 1 << 16;
/// Stack for what parses the source, and for each of its bytes. minijinja's parser recurses along chains of operators;
/// without optimisation a byte (`-----x`) takes up to 1 KiB.
const STACK: (usize, usize) = (2 << 20, 2 << 10);
/// The work that a template may do: about as many instructions, or 64 times as many bytes. For each message published
/// templates need less than a thousand, most of them far less.
const FUEL: Fuel = Fuel { always: 1_000_000, each_message: 8_000, each_byte: 1 };

struct Fuel {
    always: u64,
    each_message: u64,
    each_byte: u64,
}

/// A parsed template.
pub(super) struct Jinja {
    environment: Environment<'static>,
    marks_generation: bool,
}

/// How large the input of a rendering is.
#[derive(Clone, Copy, Debug)]
pub(super) struct InputSize {
    /// Messages and tools.
    pub(super) messages: usize,
    /// Bytes of text in them.
    pub(super) bytes: usize,
}

/// What `raise_exception` was called with.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

impl Jinja {
    /// Parses a template that takes the time from `now`.
    pub(super) fn parse(source: &str, now: SystemTime) -> Result<Self, TemplateError> {
        if source.len() > LONGEST {
            return Err(TemplateError::TooLong { bytes: source.len() as u64, limit: LONGEST as u64 });
        }
        let marked = generation::mark(source);
        let marks_generation = marked.is_some();
        let source = marked.unwrap_or_else(|| source.to_owned());
        let stack = STACK.0 + STACK.1 * source.len();
        let environment = thread::scope(|scope| {
            let parsing = thread::Builder::new().stack_size(stack).spawn_scoped(scope, || environment(source, now));
            let parsing = parsing.map_err(|source| TemplateError::Stack { stack, source })?;
            let broken = |_| Error::new(ErrorKind::SyntaxError, "the parser panicked");
            parsing.join().map_err(broken).flatten().map_err(TemplateError::Parse)
        })?;
        Ok(Self { environment, marks_generation })
    }

    /// Whether the template says what the assistant wrote.
    pub(super) fn marks_generation(&self) -> bool {
        self.marks_generation
    }

    /// Renders the template.
    pub(super) fn render(&self, variables: Value, size: InputSize) -> Result<String, TemplateError> {
        let fuel = FUEL.always + FUEL.each_message * size.messages as u64 + FUEL.each_byte * size.bytes as u64;
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(fuel));
        let template = environment.get_template(TEMPLATE).map_err(TemplateError::Parse)?;
        template.render(variables).map_err(render_error)
    }
}

fn render_error(error: Error) -> TemplateError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(current) = cause {
        if current.downcast_ref().is_some_and(|error: &Error| error.kind() == ErrorKind::OutOfFuel) {
            return TemplateError::Runaway;
        }
        if let Some(Raised(message)) = current.downcast_ref() {
            return TemplateError::Refused { message: message.clone() };
        }
        cause = current.source();
    }
    TemplateError::Render(error)
}

fn environment(source: String, now: SystemTime) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(methods::call);
    environment.set_formatter(|out, state, value| match value.kind() {
        ValueKind::Undefined | ValueKind::Invalid => minijinja::escape_formatter(out, state, value),
        _ => print::print(state, out, value),
    });
    environment.add_filter("tojson", json::tojson);
    environment.add_filter("join", methods::join_filter);
    environment.add_filter("string", |state: &State<'_, '_>, value: &Value| print::text(state, value));
    environment.add_filter("int", int);
    environment.add_filter("float", float);
    environment.add_test("iterable", |value: &Value| !value.is_none() && value.try_iter().is_ok());
    environment.add_test("sequence", |value: &Value| {
        matches!(value.kind(), ValueKind::Seq | ValueKind::String | ValueKind::Map | ValueKind::Undefined)
    });
    environment.add_function("raise_exception", |state: &State<'_, '_>, message: &Value| -> Result<Value, Error> {
        let message = print::text(state, message)?;
        Err(print::invalid("raise_exception").with_source(Raised(message)))
    });
    let date = Date::new(now);
    environment.add_function("strftime_now", move |state: &State<'_, '_>, format: &str| {
        print::pay(state, format.len())?;
        let unknown = || print::invalid(format!("strftime_now: {format:?} has a field that is not supported"));
        date.format(format).ok_or_else(unknown)
    });
    environment.add_template_owned(TEMPLATE, source)?;
    Ok(environment)
}

/// jinja2's `int`: 0 for what is no number, unless asked for something else.
fn int(
    state: &State<'_, '_>,
    value: &Value,
    default: Option<Value>,
    base: Option<u32>,
    options: Kwargs,
) -> Result<Value, Error> {
    let default = default.or(options.get("default")?).unwrap_or_else(|| Value::from(0));
    filters::int(state, value, Some(default), base, options)
}

/// jinja2's `float`: 0.0 for what is no number, unless asked for something else.
fn float(state: &State<'_, '_>, value: &Value, default: Option<Value>, options: Kwargs) -> Result<Value, Error> {
    let default = default.or(options.get("default")?).unwrap_or_else(|| Value::from(0.0));
    filters::float(state, value, Some(default), options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_render(source: &str) -> Result<String, TemplateError> {
        let variables = Value::from_pairs([(generation::START, "["), (generation::END, "]")]);
        Jinja::parse(source, SystemTime::UNIX_EPOCH)?.render(variables, InputSize { messages: 0, bytes: 0 })
    }

    fn render(source: &str) -> String {
        try_render(source).unwrap()
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
            assert!(matches!(try_render(source), Err(TemplateError::Parse(_))), "{source}");
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
        let error = try_render("{{ strftime_now('%Q') }}").unwrap_err();
        assert!(error.to_string().contains("%Q"), "{error}");
    }
}
