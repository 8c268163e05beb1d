use entropo_core::RolloutId;
use proptest::prelude::*;

use super::*;

const X: [(f64, Option<f64>); 8] = [
    (1.0, Some(0.9)),
    (0.0, Some(0.8)),
    (1.0, Some(0.2)),
    (0.0, Some(0.4)),
    (1.0, None),
    (0.0, Some(0.1)),
    (1.0, Some(0.7)),
    (0.0, Some(0.6)),
];
const Y: [bool; 8] = [true, false, false, false, true, false, true, true];

fn features() -> [Feature; 2] {
    [Feature::Score("regression".to_owned()), Feature::Score("verifier".to_owned())]
}

fn example(number: usize, values: Vec<Option<f64>>, solved: bool) -> Example {
    Example { rollout: RolloutId::new("task", number), values, solved }
}

fn examples() -> Vec<Example> {
    let rows = X.iter().zip(Y).enumerate();
    rows.map(|(number, ((a, b), solved))| example(number, vec![Some(*a), *b], solved)).collect()
}

#[test]
fn the_fit_is_that_of_an_independent_descent() {
    // 200,000 steps of gradient descent in Python on the same penalised likelihood, gradient below 1e-15 at the end.
    let model = LogisticModel::fit(&features(), &examples(), FitSettings::default()).unwrap();
    let [regression, verifier] = &model.features[..] else { panic!("{model:?}") };
    let found = [model.intercept, regression.weight, regression.missing, verifier.weight, verifier.missing];
    let golden = [-0.047_751_540_284_209, 0.617_175_407_047_433, 0.0, 0.809_891_025_347_471, 0.296_171_616_146_964];
    for (found, golden) in found.iter().zip(golden) {
        assert!((found - golden).abs() < 1e-9, "{model:?}");
    }
    assert!((verifier.mean - 3.7 / 7.0).abs() < 1e-12 && (verifier.scale - 0.281_395_937_194).abs() < 1e-9);
    assert_eq!((model.examples, model.solved), (8, 4));
    let better = model.probability(&[Some(1.0), Some(0.9)]);
    assert!(better > model.probability(&[Some(1.0), None]) && better > model.probability(&[Some(0.0), Some(0.9)]));
}

#[test]
fn a_model_is_a_file() {
    let model = LogisticModel::fit(&features(), &examples(), FitSettings::default()).unwrap();
    let text = serde_json::to_string_pretty(&model).unwrap();
    assert!(text.contains(r#""format": "entropo-logistic/1""#) && text.contains(r#""score": "regression""#), "{text}");
    assert_eq!(serde_json::from_str::<LogisticModel>(&text).unwrap(), model);
    let refused = |text: &str| serde_json::from_str::<LogisticModel>(text).unwrap_err().to_string();
    assert!(refused(&text.replace("logistic/1", "logistic/2")).contains("fit it anew"));
    let broken = LogisticModel { features: vec![], intercept: 0.0, ..model.clone() };
    assert!(serde_json::from_str::<LogisticModel>(&serde_json::to_string(&broken).unwrap()).is_ok());
    let mut flat = model;
    flat.features[0].scale = 0.0;
    assert!(refused(&serde_json::to_string(&flat).unwrap()).contains("feature regression"));
}

#[test]
fn what_determines_no_model_is_refused() {
    let fit = |examples: &[Example], penalty| LogisticModel::fit(&features(), examples, FitSettings { penalty });
    let all = examples();
    for penalty in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(fit(&all, penalty), Err(FitError::Penalty(_))));
    }
    assert_eq!(fit(&[], 1.0), Err(FitError::OneClass { examples: 0, solved: 0 }));
    let solved: Vec<_> = all.iter().filter(|one| one.solved).cloned().collect();
    assert_eq!(fit(&solved, 1.0), Err(FitError::OneClass { examples: 4, solved: 4 }));
    let broken = |values: Vec<Option<f64>>| fit(&[all.clone(), vec![example(9, values, true)]].concat(), 1.0);
    assert!(matches!(broken(vec![None]), Err(FitError::Values { values: 1, features: 2, .. })));
    assert_eq!(broken(vec![Some(f64::NAN), None]), Err(FitError::NotFinite("regression".to_owned())));
    assert_eq!(broken(vec![None, Some(f64::MAX)]), Err(FitError::NotFinite("verifier".to_owned())), "overflows");
    let twice = [all.clone(), vec![all[0].clone()]].concat();
    assert_eq!(fit(&twice, 1.0), Err(FitError::Duplicate(RolloutId::new("task", 0))));
}

#[test]
fn separable_labels_have_a_model_too() {
    let rows = (0..6).map(|number| example(number, vec![Some(number as f64), None], number > 2)).collect::<Vec<_>>();
    let model = LogisticModel::fit(&features(), &rows, FitSettings { penalty: 1e-6 }).unwrap();
    assert!(model.probability(&[Some(5.0), None]) > 0.99 && model.probability(&[Some(0.0), None]) < 0.01);
}

proptest! {
    #[test]
    fn the_order_of_examples_does_not_matter(
        shuffled in Just(examples()).prop_shuffle(), scale in 0.001_f64..1000.0, shift in -100.0_f64..100.0,
    ) {
        let model = LogisticModel::fit(&features(), &examples(), FitSettings::default()).unwrap();
        prop_assert_eq!(&LogisticModel::fit(&features(), &shuffled, FitSettings::default()).unwrap(), &model);
        // Nor does the unit in which a score is given.
        let other: Vec<Example> = shuffled.into_iter().map(|mut one| {
            one.values[1] = one.values[1].map(|value| value * scale + shift);
            one
        }).collect();
        let other = LogisticModel::fit(&features(), &other, FitSettings::default()).unwrap();
        let (a, b) = (model.probability(&[Some(1.0), Some(0.3)]), other.probability(&[Some(1.0), Some(0.3 * scale + shift)]));
        prop_assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
}
