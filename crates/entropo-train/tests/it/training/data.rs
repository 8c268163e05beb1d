//! Examples that are not in memory.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::Device;
use entropo_train::checkpoint::decoder_to_bytes;
use entropo_train::data::{DataError, Example, Source};
use entropo_train::trainer::{TrainError, Training};

use super::{finish, open, runs};
use crate::support::decoder;

/// Examples that come to be when they are asked for, and from the `broken`th request on no more.
struct Made {
    make: Vec<Example>,
    asked: AtomicUsize,
    broken: usize,
}

impl Source for Made {
    fn len(&self) -> usize {
        self.make.len()
    }

    fn tokens(&self, index: usize) -> usize {
        self.make[index].tokens()
    }

    fn get(&self, index: usize) -> Result<Cow<'_, Example>, DataError> {
        if self.asked.fetch_add(1, Ordering::Relaxed) >= self.broken {
            return Err(DataError::Index { index, examples: 0 });
        }
        Ok(Cow::Owned(self.make[index].clone()))
    }
}

fn made(make: &[Example], broken: usize) -> Made {
    Made { make: make.to_vec(), asked: AtomicUsize::new(0), broken }
}

#[test]
fn a_source_gives_the_run_that_its_examples_give() {
    for (config, examples) in runs() {
        let expected = finish(open(&decoder(1), &examples, &config, None).unwrap(), 6);
        let source = made(&examples, usize::MAX);
        let training = Training::over(&source as &dyn Source, config.clone());
        let mut records = Vec::new();
        let end = training.start(&decoder(1), &Device::default()).unwrap().run(|record, _| {
            records.push(record.clone());
            ControlFlow::Continue(())
        });
        assert_eq!(records, expected.0, "{:?}", config.objective);
        assert!(decoder_to_bytes(&end.unwrap()).unwrap() == expected.1, "{:?}", config.objective);
    }
}

#[test]
fn what_cannot_be_read_ends_the_run() {
    let (config, examples) = runs().swap_remove(0);
    // Before the run, and in its third step.
    let source = made(&examples, 5);
    let training = Training::over(&source as &dyn Source, config.clone()).start(&decoder(1), &Device::default());
    assert!(matches!(training.err(), Some(TrainError::Data(DataError::Index { index: 5, .. }))));
    let source = made(&examples, 8 + 7);
    let training = Training::over(&source as &dyn Source, config).start(&decoder(1), &Device::default()).unwrap();
    let mut steps = 0;
    let error = training.run(|_, _| {
        steps += 1;
        ControlFlow::Continue(())
    });
    assert!(matches!(error, Err(TrainError::Data(_))) && steps == 2, "{steps}");
}
