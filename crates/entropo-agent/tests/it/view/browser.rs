//! The page in Chromium, driven as a person would: through keys.
//!
//! Without Chromium these tests say so and pass; with `ENTROPO_REQUIRE_CHROMIUM=1` they fail.

#![allow(clippy::print_stderr, reason = "what is skipped is said")]

mod chromium;

use std::path::Path;

use entropo_agent::view::{Measures, View};

use super::sets::{greeters, hostile, large, page, selected, words};
use chromium::Chromium;

/// A browser that shows the page; `None`, with the reason printed, if there is none.
fn open(folder: &Path, html: &str) -> Option<Chromium> {
    let file = folder.join("page.html");
    std::fs::write(&file, html).unwrap();
    let Some(program) = chromium::program() else {
        assert!(std::env::var_os("ENTROPO_REQUIRE_CHROMIUM").is_none_or(|value| value != "1"), "no Chromium on PATH");
        eprintln!("skipped: there is no Chromium on PATH");
        return None;
    };
    let mut browser = Chromium::start(&program, folder);
    browser.go(&format!("file://{}", file.display()));
    Some(browser)
}

const CURRENT: &str = "[...document.querySelectorAll('.focus .turn')].findIndex((t) => t.matches('.current'))";

#[test]
fn keys_lead_through_turns_and_candidates() {
    let folder = tempfile::tempdir().unwrap();
    let rollouts = greeters();
    let Some(mut browser) = open(folder.path(), &page(&rollouts, Some(&selected(&rollouts)))) else { return };
    browser.shows("document.title", "<b>Title</b>");
    browser.shows("document.querySelector('.column h2').textContent", "greet#0 ★ chosen");
    browser.keys("jj");
    assert_eq!(browser.number(CURRENT), 2.0);
    browser.keys("k");
    assert_eq!(browser.number(CURRENT), 1.0);
    browser.keys("G");
    assert_eq!(browser.number(CURRENT), 6.0, "the patch comes last");
    let colours = "['add', 'del'].map((k) => document.querySelectorAll('.diff .' + k).length).join()";
    browser.shows(colours, "1,1");
    browser.keys("n");
    browser.shows("location.hash", "#1/0");
    assert!(browser.text("document.querySelector('.facts').textContent").contains("dropped by best regression: 3 of"));
    browser.keys("p");
    browser.keys("c");
    browser.shows(
        "[...document.querySelectorAll('.column h2')].map((h) => h.textContent).join()",
        "greet#0 ★ chosen,greet#1",
    );
    browser.shows("location.hash", "#0/0/c/");
    browser.keys("t");
    browser.shows("location.hash", "#0/0/c/mask");
    browser.keys("?");
    browser.shows("String(document.getElementById('help').open)", "true");
}

#[test]
fn tokens_are_coloured_by_what_is_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let rollouts = greeters();
    let measures = Measures { entropy: vec![0.05, 0.8, 4.0], reference_gap: vec![0.02, -0.4, 2.0] };
    let view = View::new("t", &rollouts).decoder(words).measures(rollouts[0].id.clone(), 0, measures);
    let Some(mut browser) = open(folder.path(), &view.html().unwrap()) else { return };
    let classes = "[...document.querySelectorAll('.tokens > span')].map((t) => t.className).join('|')";
    browser.keys("t");
    browser.shows(classes, "|||act h4|act h4||act h4");
    browser.shows("document.querySelector('.tokens').textContent", "w1 w2 w3 w4 w5 ");
    browser.keys("t");
    browser.shows(classes, "|||act h0|act h5||act h3");
    browser.keys("t");
    browser.shows(classes, "|||act h1|act h4||act h6");
    browser.keys("t");
    browser.shows(classes, "|||act h1|act h3 less||act h5");
}

#[test]
fn search_finds_what_was_never_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut browser) = open(folder.path(), &page(&large(3, 400), None)) else { return };
    browser.keys("/");
    browser.keys("SRC # 2 199");
    browser.wait("document.querySelector('#found [data-done]')?.dataset.done === '1'");
    browser.press("Enter", "\r");
    browser.shows("location.hash", "#2/398");
    assert!(browser.text("document.querySelector('.current').textContent").contains("grep -rn value src # 2 199"));
    let seen = "(() => { const t = document.querySelector('.current').getBoundingClientRect(); \
                return t.top >= 0 && t.top < innerHeight ? 'seen' : String(t.top); })()";
    browser.wait(&format!("{seen} === 'seen'"));
}

#[test]
fn nothing_that_a_model_wrote_is_executed() {
    let folder = tempfile::tempdir().unwrap();
    let (rollouts, selection) = hostile();
    let Some(mut browser) = open(folder.path(), &page(&rollouts, Some(&selection))) else { return };
    for keys in ["jjjjj", "n", "c", "t", "tt", "e", "/", "script"] {
        browser.keys(keys);
    }
    browser.wait("document.querySelector('#found [data-done]') !== null");
    assert_eq!(browser.text("String(window.pwned)"), "undefined");
    assert_eq!(
        browser.number("document.querySelectorAll('img, svg, main script, nav script, aside script').length"),
        0.0
    );
    assert!(browser.text("document.querySelector('main').textContent").contains("<script>window.pwned=1</script>"));
    // The policy holds even against markup that got in.
    let planted = "(() => { const place = document.createElement('div'); place['inner' + 'HTML'] = \
                   '<img src=x onerror=\"window.pwned=4\">'; document.body.append(place); return 'planted'; })()";
    assert_eq!(browser.text(planted), "planted");
    browser.wait("new Promise((done) => setTimeout(() => done(true), 300))");
    assert_eq!(browser.text("String(window.pwned)"), "undefined");
}

/// How long 5,000 turns take is printed: `cargo test -p entropo-agent --test it five_thousand -- --nocapture`.
#[test]
fn five_thousand_turns_open() {
    for (candidates, messages) in [(1, 5000), (50, 100)] {
        let folder = tempfile::tempdir().unwrap();
        let html = page(&large(candidates, messages), None);
        let Some(mut browser) = open(folder.path(), &html) else { return };
        let opened = browser.text("document.documentElement.dataset.opened");
        let drawn = browser.number("document.querySelectorAll('.turn:not(:empty)').length");
        assert!((1.0..200.0).contains(&drawn), "{drawn} turns were drawn");
        let jump = "(() => { const t = performance.now(); page.focus.go(Infinity); document.body.offsetHeight; \
                    return performance.now() - t; })()";
        let jump = browser.number(jump);
        browser.keys("/");
        let begun = browser.number("performance.now()");
        browser.keys("value");
        browser.wait("Number(document.querySelector('#found [data-done]')?.dataset.done) >= 5000");
        let found = browser.number("performance.now()") - begun;
        println!(
            "{candidates} x {messages} turns, {:.1} MB: open after {opened} ms, to the end {jump:.0} ms, all searched \
             {found:.0} ms",
            html.len() as f64 / 1e6
        );
    }
}

#[test]
fn a_screenshot_shows_something() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut browser) = open(folder.path(), &page(&greeters(), None)) else { return };
    let (width, height, colours) = browser.seen();
    assert_eq!((width, height), (1200.0, 800.0));
    assert!(colours > 50.0, "{colours} colours");
}
