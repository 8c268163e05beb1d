//! Rollouts in a terminal.

use entropo_agent::view::View;

use super::sets::{greeters, hostile, selected};

#[test]
fn turns_patch_and_reasons_are_told() {
    let rollouts = greeters();
    let selection = selected(&rollouts);
    insta::assert_snapshot!(View::new("t", &rollouts).selection(&selection).text());
}

#[test]
fn colours_are_the_views_own() {
    let (rollouts, selection) = hostile();
    let view = |coloured| View::new("t", &rollouts).selection(&selection).coloured(coloured).text();
    let plain = view(false);
    assert!(plain.chars().all(|one| one == '\n' || one == '\t' || !one.is_control()), "{plain:?}");
    let coloured = view(true);
    assert!(
        coloured.contains("\u{1b}[1m") && !coloured.contains("\u{1b}[31m["),
        "no colour begins where a model says so"
    );
    assert_eq!(coloured.matches('\u{1b}').count() % 2, 0, "what begins ends");
}
