//! Templates that loop, recurse, raise, include, or fill the memory: typed errors, and soon.
//!
//! What each of these would take without bounds (10⁹ steps, 10¹⁸ bytes, a stack of gigabytes) no machine has, so that
//! the tests end at all is what they show.

use entropo_train::text::{ChatTemplate, Conversation, TemplateError};
use serde_json::json;

fn render(source: &str) -> Result<String, TemplateError> {
    let conversation = Conversation::from_values(vec![json!({"role": "user", "content": "Hi"})], vec![]);
    Ok(ChatTemplate::new(source, [("bos_token", "<s>")])?.render(&conversation)?.text)
}

fn assert_stopped(source: &str) {
    match render(source) {
        Err(TemplateError::Runaway) => {}
        other => panic!("{source}: {other:?}"),
    }
}

fn assert_fails(source: &str, words: &str) {
    match render(source) {
        Err(error @ (TemplateError::Render(_) | TemplateError::Parse(_))) => {
            assert!(error.to_string().contains(words), "{source}: {error}");
        }
        other => panic!("{source}: {other:?}"),
    }
}

#[test]
fn loops_are_stopped() {
    assert_stopped("{% for i in range(99999) %}{% for j in range(99999) %}{{ i }}{% endfor %}{% endfor %}");
    assert_fails("{% for i in range(10 ** 9) %}{{ i }}{% endfor %}", "range has too many elements");
    assert_stopped("{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}");
    // Little to do for the template, much for a method.
    let long = "{% set a = 'ab' * 9999999 %}{% for i in range(99999) %}{% set x = a.count('c') %}{% endfor %}";
    assert_stopped(long);
    assert_stopped(&long.replace("count('c')", "strip()"));
    assert_stopped(&long.replace("count('c')", "startswith(a)"));
}

#[test]
fn recursion_is_stopped() {
    assert_fails("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "recursion limit");
    assert_fails("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "recursion limit");
    assert_fails("{% include 'chat template' %}", "could not render include");
    assert_fails("{% extends 'chat template' %}", "cycle");
    assert_fails("{% set n = namespace(x=1) %}{% set n.x = n %}{{ n.x }}", "nested");
    assert_fails("{% set n = namespace(x=1) %}{% set n.x = n %}{{ n | tojson }}", "nested");
}

#[test]
fn other_files_are_out_of_reach() {
    for tag in
        ["include '/etc/passwd'", "import '/etc/passwd' as x", "from '/etc/passwd' import x", "extends '/etc/passwd'"]
    {
        assert_fails(&format!("{{% {tag} %}}"), "/etc/passwd");
    }
}

#[test]
fn memory_is_not_filled() {
    assert_stopped("{{ 'a' * 10 ** 9 }}");
    assert_fails("{{ [1] * 10 ** 9 }}", "too large");
    assert_stopped("{% for i in range(9999) %}{{ 'a' * 99999 }}{% endfor %}");
    assert_stopped(
        "{% set a = 'a' * 9999999 %}{% set b = a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a %}{{ b }}",
    );
    let many = "{% set a = 'a' * 9999999 %}{% set l = [a] * 99999 %}";
    for use_of in [
        "{{ l }}",
        "{{ l | string | length }}",
        "{{ l | tojson | length }}",
        "{{ l | join | length }}",
        "{{ ''.join(l) | length }}",
        "{{ '{}'.format(l) | length }}",
        "{{ a.replace('a', a) | length }}",
        "{{ a.replace('', a) | length }}",
        "{{ a.split('a') | length }}{{ a.split('') | length }}",
        "{{ raise_exception(l) }}",
        "{{ ('%99999999999s' | format('x')) | length }}",
        "{{ '{:>99999999999}'.format('x') | length }}",
        "{{ 'x'.center(99999999999) | length }}",
        "{{ [1] | tojson(indent=99999999999) | length }}",
        "{{ ([1] * 99999999) | tojson | length }}",
    ] {
        assert_stopped(&format!("{many}{use_of}"));
    }
    // A list that holds itself 2⁶⁰ times.
    let doubled = "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}";
    for use_of in
        ["{{ n.x }}", "{{ n.x | string }}", "{{ n.x | tojson }}", "{{ n.x | join }}", "{{ raise_exception(n.x) }}"]
    {
        assert_stopped(&format!("{doubled}{use_of}"));
    }
}

#[test]
fn refusals_keep_their_words() {
    let error = render("{{ raise_exception('Only ' ~ messages | length) }}").unwrap_err();
    assert!(matches!(&error, TemplateError::Refused { message } if message == "Only 1"), "{error}");
}

#[test]
fn long_sources_are_refused_and_chains_need_no_stack() {
    let error = render(&"{{ 1 }}".repeat(1_500_000)).unwrap_err();
    assert!(matches!(error, TemplateError::TooLong { bytes: 10_500_000, limit: 65_536 }), "{error}");
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("chat_template.jinja"), " ".repeat(10 << 20)).unwrap();
    let error = ChatTemplate::from_dir(&directory).unwrap_err();
    assert!(matches!(error, TemplateError::TooLong { bytes: 10_485_760, .. }), "{error}");

    for link in ["not ", "-", "+x", ".a", "[0]", "()", "|upper", "~x", "**x", " and x", " if x else x", " is defined"] {
        let links = link.repeat(4_000);
        let chain =
            if link == "not " || link == "-" { format!("{{{{ {links}x }}}}") } else { format!("{{{{ x{links} }}}}") };
        // Whatever it says, it must not end the process.
        let _ = render(&chain);
    }
    let _ = render(&format!("{{% if x %}}{}{{% endif %}}", "{% elif x %}".repeat(4_000)));
    let _ = render(&"{%".repeat(30_000));
    assert_fails(&format!("{{{{ {}1{} }}}}", "(".repeat(20_000), ")".repeat(20_000)), "recursion");
    assert_fails(&format!("{}{}", "{% if 1 %}".repeat(2_000), "{% endif %}".repeat(2_000)), "recursion");
}
