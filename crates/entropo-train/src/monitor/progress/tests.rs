use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use indicatif::InMemoryTerm;

use super::*;

/// A writer whose text can be read afterwards.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// A step of half a second with 600 tokens.
fn step(step: usize, loss: f64) -> Record {
    let scalars = BTreeMap::from([("loss".to_owned(), loss), ("tokens".to_owned(), 600.0)]);
    Record { step, steps: 400, wall_s: (step + 1) as f64 / 2.0, scalars, notes: Vec::new() }
}

/// Without memory, which no test can know.
fn forgetting_memory(text: &str) -> String {
    let cut = |line: &str| match line.rsplit_once("  ") {
        Some((words, memory)) if memory.trim_end().ends_with('B') => words.to_owned(),
        _ => line.trim_end().to_owned(),
    };
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
}

#[test]
fn without_a_terminal_there_is_a_line_now_and_then() {
    let shared = Shared::default();
    let mut progress = Progress::new(Output::Lines(Box::new(shared.clone())), 60.0, 0, 0.0).unwrap();
    for index in 0..400 {
        progress.record(&step(index, if index < 200 { 0.75 } else { 0.5 })).unwrap();
        if index == 150 {
            progress.record(&Record::evaluation(150, 400, 75.5, [("rewards/margins", 0.125), ("loss", 0.5)])).unwrap();
            progress.warn("3 of 8 pairs are saturated;\x1b[2J lower `beta`").unwrap();
        }
    }
    progress.finish("report in runs/1/report.html").unwrap();
    insta::assert_snapshot!(forgetting_memory(&shared.text()), @r"
    step 1/400  loss 0.75  1.2k tokens/s  3 min 20 s left
    step 121/400  loss 0.75  1.2k tokens/s  2 min 20 s left
    evaluation after step 151: loss 0.5, rewards/margins 0.125
    warning: 3 of 8 pairs are saturated;�[2J lower `beta`
    step 241/400  loss 0.5146  1.2k tokens/s  1 min 20 s left
    step 361/400  loss 0.5  1.2k tokens/s  19.5 s left
    step 400/400  loss 0.5  1.2k tokens/s
    report in runs/1/report.html
    ");
}

#[test]
fn a_terminal_has_one_live_line_and_warnings_above_it() {
    let screen = InMemoryTerm::new(10, 100);
    let target = Target::live(ProgressDrawTarget::term_like(Box::new(screen.clone())));
    let mut progress = Progress::with_target(target, 60.0, 0, 0.0);
    for index in 0..200 {
        progress.record(&step(index, 0.75)).unwrap();
    }
    progress.warn("the learning rate is 0").unwrap();
    insta::assert_snapshot!(forgetting_memory(&screen.contents()), @r"
    warning: the learning rate is 0
    [==========>         ] step 200/400  loss 0.75  1.2k tokens/s  1 min 40 s left
    ");
    progress.finish("report in runs/1/report.html").unwrap();
    assert!(screen.contents().contains("report in runs/1/report.html"), "{}", screen.contents());
}

#[test]
fn a_line_never_wraps() {
    let screen = InMemoryTerm::new(10, 40);
    let target = Target::live(ProgressDrawTarget::term_like(Box::new(screen.clone())));
    let mut progress = Progress::with_target(target, 60.0, 0, 0.0);
    progress.record(&step(0, 0.75)).unwrap();
    assert_eq!(screen.contents().lines().count(), 1, "{}", screen.contents());
}

#[test]
fn a_resumed_run_does_not_count_what_it_found() {
    let shared = Shared::default();
    let mut progress = Progress::new(Output::Lines(Box::new(shared.clone())), 60.0, 100, 50.0).unwrap();
    progress.record(&step(100, f64::NAN)).unwrap();
    assert_eq!(forgetting_memory(&shared.text()), "step 101/400  loss NaN  1.2k tokens/s  2 min 30 s left");
}

#[test]
fn a_writer_that_fails_is_told_of() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut progress = Progress::new(Output::Lines(Box::new(Full)), 60.0, 0, 0.0).unwrap();
    assert_eq!(progress.record(&step(0, 0.75)).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert!(Progress::new(Output::Nothing, 60.0, 0, 0.0).is_none());
}
