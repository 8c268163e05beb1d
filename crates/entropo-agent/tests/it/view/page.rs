//! The page as a file.

use entropo_agent::view::{Measures, View, ViewError};

use super::sets::{greeters, hostile, page, words};

#[test]
fn what_a_model_wrote_is_never_markup() {
    let (rollouts, selection) = hostile();
    let page = page(&rollouts, Some(&selection));
    let harmless = super::sets::page(&greeters(), None);
    let tags = |page: &str| {
        let after = page.match_indices('<').map(|(at, _)| &page[at + 1..]);
        after.filter(|rest| rest.starts_with(|first: char| first.is_ascii_alphabetic() || "/!".contains(first))).count()
    };
    assert_eq!(tags(&page), tags(&harmless), "two rollouts with tokens have as many tags, whatever they wrote");
    assert!(!page.contains('\u{202e}') && !page.contains('\u{1b}') && !page.contains('\u{2028}'));
    assert_eq!(page.matches("script-src 'sha256-").count(), 1);
}

#[test]
fn texts_without_end_are_shortened() {
    let mut rollouts = greeters();
    rollouts[0].outcome.patch = "x".repeat(1 << 20);
    let html = View::new("t", &rollouts).at_most(1000).html().unwrap();
    assert!(html.contains("bytes are left out here") && html.len() < 100_000, "{}", html.len());
}

#[test]
fn values_belong_to_tokens() {
    let rollouts = greeters();
    let id = rollouts[0].id.clone();
    let with = |entropy: Vec<f32>| {
        let measures = Measures { entropy, reference_gap: vec![] };
        View::new("t", &rollouts).decoder(words).measures(id.clone(), 0, measures).html()
    };
    assert!(with(vec![0.1, f32::NAN, 0.25]).unwrap().contains("\"entropy\":[100,null,250]"));
    let error = with(vec![0.1]).unwrap_err();
    assert!(matches!(error, ViewError::Values { tokens: 3, values: 1, measure: "entropy", .. }), "{error}");
    let error = View::new("t", &rollouts).decoder(|_| vec![]).html().unwrap_err();
    assert!(matches!(error, ViewError::Texts { segment: 0, tokens: 7, texts: 0, .. }), "{error}");
}
