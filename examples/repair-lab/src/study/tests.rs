//! The whole study, very small.

use entropo::agent::CancellationToken;
use entropo::train::burn::tensor::Device;

use super::*;

fn tiny() -> Settings {
    Settings { tasks: 2, rollouts: 4, known_tasks: 8, known_rollouts: 4, epochs: 1, subsets: 4, ..Settings::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_study_is_whole_and_repeats() {
    let directory = tempfile::tempdir().unwrap();
    let policy = Policy::embedded(&Device::default()).unwrap();
    let cancel = CancellationToken::new();
    let study =
        async |at_once| run(&policy, &tiny(), directory.path(), at_once, &Screen::quiet(), &cancel).await.unwrap();
    let results = study(3).await;
    assert_eq!(results.verifiers.len(), 2, "{results:?}");
    assert!(results.verifiers.iter().all(|verifier| verifier.scored == 8 && verifier.missing.is_empty()));
    let find = |name: &str| results.selectors.iter().find(|selector| selector.name == name).unwrap();
    let (oracle, random) = (find("oracle (pass@N)"), find("random"));
    assert_eq!(random.best_at.keys().copied().collect::<Vec<_>>(), [1, 2, 4]);
    for selector in &results.selectors {
        assert!(selector.best_at[&1].mean == random.best_at[&1].mean, "one rollout leaves no choice: {selector:?}");
        assert!(selector.best_at[&4].mean <= oracle.best_at[&4].mean + 1e-12, "{selector:?}");
    }
    assert_eq!(results.contributions.len(), 5);
    assert!(results.stopping.iter().all(|one| (1.0..=4.0).contains(&one.drawn.mean)), "{:?}", results.stopping);
    let page = std::fs::read_to_string(page(directory.path())).unwrap();
    assert!(page.contains("| cumulative | + best verifier | ") && page.contains("(reliability.svg)"), "{page}");
    let plot = std::fs::read_to_string(directory.path().join("best-at-n.svg")).unwrap();
    assert!(plot.starts_with("<svg ") && plot.contains("viewBox") && plot.contains("random"), "{plot}");
    assert_eq!(study(7).await, results, "what is done is found, however many run at a time");
}

#[test]
fn known_tasks_are_parted_and_counts_double() {
    let settings = Settings { known_tasks: 10, rollouts: 12, ..Settings::default() };
    assert_eq!((settings.learned_from(), settings.counts()), (7, vec![1, 2, 4, 8, 12]));
    assert_eq!(Settings { rollouts: 1, ..settings }.counts(), [1]);
}

/// The pictures in the documentation are those of its numbers. After a change of the plots: `UPDATE_PLOTS=1 cargo test
/// -p repair-lab the_documented_pictures`.
#[test]
fn the_documented_pictures_are_drawn_from_the_documented_numbers() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/selection-study");
    let results = std::fs::read(directory.join("results.json")).unwrap();
    for plot in plots::all(&serde_json::from_slice(&results).unwrap()).unwrap() {
        let file = directory.join(plot.file);
        if std::env::var_os("UPDATE_PLOTS").is_some() {
            std::fs::write(&file, &plot.svg).unwrap();
        }
        assert!(std::fs::read_to_string(&file).unwrap() == plot.svg, "{} is drawn otherwise", plot.file);
    }
}
