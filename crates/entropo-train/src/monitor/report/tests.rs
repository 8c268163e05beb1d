use std::collections::BTreeMap;

use super::*;
use crate::monitor::metrics::MetricsLog;
use crate::monitor::record::Record;

/// The report of three steps, with warnings, of a run whose every word is hostile.
fn report() -> String {
    let folder = tempfile::tempdir().unwrap();
    let (metrics, report) = (folder.path().join("metrics.jsonl"), folder.path().join("report.html"));
    let mut log = MetricsLog::resume_at(&metrics, 0).unwrap();
    for step in 0..3 {
        let scalars = [("loss", 0.75 - 0.125 * step as f64), ("tokens", 512.0), ("<i>x</i>", f64::NAN)];
        let scalars: BTreeMap<String, f64> = scalars.map(|(name, value)| (name.to_owned(), value)).into();
        let notes = if step == 1 { vec!["<script>alert(1)</script>".to_owned()] } else { Vec::new() };
        log.append(&Record { step, steps: 10, wall_s: 2.0 * (step + 1) as f64, scalars, notes }).unwrap();
    }
    let description = Description {
        title: "<script>title</script>".to_owned(),
        configuration: "[train]\nobjective = \"</pre><script>\"".to_owned(),
        data: "rows & <b>more</b>".to_owned(),
        facts: vec![("a<b".to_owned(), "\"c\"".to_owned())],
    };
    write_with_warnings(&metrics, &report, &description, &["disk <full>".to_owned()]).unwrap();
    std::fs::read_to_string(report).unwrap()
}

#[test]
fn nothing_of_the_run_is_markup_and_nothing_comes_from_the_network() {
    let html = report();
    for markup in ["<script", "<i>x", "<b>", "</pre><", "<full>", "a<b"] {
        assert!(!html.contains(markup), "{markup}");
    }
    assert!(html.contains("&lt;script&gt;alert(1)"), "{html}");
    let outside = html.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    assert!(!outside.contains("http://") && !outside.contains("https://") && !outside.contains("url("));
}

#[test]
fn the_table_and_the_warnings_have_every_value() {
    let html = report();
    let part = |from: &str, to: &str| {
        let start = html.find(from).unwrap();
        html[start..start + html[start..].find(to).unwrap()].to_owned()
    };
    insta::assert_snapshot!(part("    <tbody>", "    </tbody>").trim_end(), @r#"
    <tbody>
      <tr><th scope="row">&lt;i&gt;x&lt;&#x2f;i&gt;</th><td>–</td><td>–</td><td>–</td><td>–</td><td>0</td><td class="bad">3</td></tr>
      <tr><th scope="row">loss</th><td>0.5</td><td>0.5967</td><td>0.5</td><td>0.75</td><td>3</td><td>0</td></tr>
      <tr><th scope="row">tokens</th><td>512</td><td>512</td><td>512</td><td>512</td><td>3</td><td>0</td></tr>
    "#);
    insta::assert_snapshot!(part("  <ul class=\"warnings\">", "  </ul>").trim_end(), @r#"
    <ul class="warnings">
      <li><span class="step">step 1</span> &lt;script&gt;alert(1)&lt;&#x2f;script&gt;</li>
      <li>disk &lt;full&gt;</li>
    "#);
}

#[test]
fn every_drawing_has_a_title_and_a_description() {
    let html = report();
    let drawings = html.matches("<svg").count();
    assert_eq!(drawings, 2); // loss and tokens: the third metric has no value
    assert_eq!(html.matches("<title id=\"title-").count(), drawings);
    assert!(html.contains("training: from 0.75 at step 0 to 0.5 at step 2, lowest 0.5 at step 2"), "{html}");
}

#[test]
fn a_run_without_a_step_has_a_report_too() {
    let folder = tempfile::tempdir().unwrap();
    let (metrics, report) = (folder.path().join("metrics.jsonl"), folder.path().join("report.html"));
    MetricsLog::resume_at(&metrics, 0).unwrap();
    write_report(&metrics, &report, &Description::default()).unwrap();
    assert!(std::fs::read_to_string(&report).unwrap().contains("no step yet"));

    std::fs::write(&metrics, "nonsense\n").unwrap();
    let before = std::fs::read(&report).unwrap();
    assert!(matches!(write_report(&metrics, &report, &Description::default()), Err(MonitorError::Metrics(_))));
    assert_eq!(std::fs::read(&report).unwrap(), before);
}
