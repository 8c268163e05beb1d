#[test]
fn a_run_that_leaves_the_numbers_stops_and_keeps_its_state() {
    for (config, examples) in runs() {
        let config = TrainConfig { learning_rate: 1e30, schedule: Schedule::Constant, save_every: 1, ..config };
        let folder = tempfile::tempdir().unwrap();
        let training = open(&decoder(1), &examples, &config, Some(folder.path())).unwrap();
        let mut steps = 0;
        let error = training.run(|_, _| {
            steps += 1;
            ControlFlow::Continue(())
        });
        let error = error.unwrap_err();
        let typed = matches!(error, TrainError::Objective { .. } | TrainError::NotFinite { .. });
        assert!(typed, "{:?}: {error:?}", config.objective);
        if let TrainError::Objective { step, sequences, .. } = &error {
            assert_eq!(*step, steps);
            assert!(sequences.contains('s'), "{error}");
        }
        assert!(steps > 0, "{:?}: {error}", config.objective);
        let resumed = open(&decoder(1), &examples, &config, Some(folder.path())).unwrap();
        assert_eq!(resumed.done(), steps, "{:?}", config.objective);
    }
}
