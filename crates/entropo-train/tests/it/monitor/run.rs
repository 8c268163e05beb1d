//! A real training run under a monitor.

use std::fs;
use std::ops::ControlFlow;

use burn::tensor::Device;
use entropo_train::decoder::Decoder;
use entropo_train::monitor::{Monitor, MonitorOptions, Output, Record, read_metrics};
use entropo_train::objective::{EntropoDpo, Objective};
use entropo_train::trainer::{StepRecord, TrainConfig, Training};

use super::events;
use crate::support::{decoder, pairs};

#[test]
fn a_killed_run_goes_on_with_the_metrics_of_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let (start, examples, device) = (decoder(1), pairs(6), Device::default());
    let objective = Objective::EntropoDpo(EntropoDpo::default());
    let config = TrainConfig { objective, epochs: 2, batch_size: 2, save_every: 2, ..TrainConfig::default() };

    // Kills the first process after its fourth step of six, two steps after the last state, and lets a second one end it.
    for (name, killed_after) in [("whole", None), ("killed", Some(3)), ("killed", None)] {
        let directory = folder.path().join(name);
        let training =
            Training::new(&start, &examples, config.clone(), &device, Some(directory.join("state"))).unwrap();
        let first_step = training.done();
        let options = MonitorOptions { first_step, output: Output::Nothing, ..MonitorOptions::default() };
        let mut monitor = Monitor::start(&directory, options).unwrap();
        let mut observe = |record: &StepRecord| {
            monitor.step(&Record::of(record, monitor.wall_s())).unwrap();
            if killed_after == Some(record.step) {
                std::panic::resume_unwind(Box::new("killed"));
            }
        };
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _: Decoder = training
                .run(|record, _| {
                    observe(record);
                    ControlFlow::Continue(())
                })
                .unwrap();
        }));
        assert_eq!(run.is_err(), killed_after.is_some());
        if run.is_ok() {
            monitor.finish().unwrap();
        }
    }

    let metrics = |name: &str| {
        let mut records = Vec::new();
        let torn = read_metrics(folder.path().join(name).join("metrics.jsonl"), |mut record| {
            record.scalars.remove("tokens_per_second").unwrap();
            record.wall_s = 0.0;
            record.notes.clear();
            records.push(record);
        });
        assert_eq!(torn.unwrap(), 0);
        records
    };
    assert_eq!(metrics("whole").len(), 6);
    assert!(metrics("whole").iter().all(|record| record.scalars.contains_key("offset/mean")));
    assert_eq!(metrics("killed"), metrics("whole"));
    assert_eq!(
        events::read_directory(&folder.path().join("killed")).keys().filter(|(name, _)| name == "loss").count(),
        6
    );
    assert!(fs::read_to_string(folder.path().join("killed/report.html")).unwrap().contains("Effective pairs"));
}
