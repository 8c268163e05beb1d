//! A forest plot that stands alone: names, intervals of differences around the line at 0, and the numbers.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::drawing::{draw, headed, label, name};
use super::paint::Paint;
use super::strips::domain;
use super::{Drawing, PlotError, SCALE};
use crate::stats::Interval;

const NAMES: u32 = 210;
const PLOT: u32 = 300;
const NUMBERS: u32 = 190;
const ROW: u32 = 28;

/// A difference, such as that of a selector without one of its stages.
#[derive(Clone, Debug, PartialEq)]
pub struct ForestRow {
    /// What differs.
    pub name: String,
    /// By how much.
    pub interval: Interval,
}

/// The differences under each other. A mark is filled if 0 is outside of the interval; `write` writes values.
///
/// # Errors
/// [`PlotError::Nothing`] if no interval is finite.
pub fn forest(title: &str, rows: &[ForestRow], write: fn(f64) -> String) -> Result<Drawing, PlotError> {
    let finite = |one: &Interval| [one.low, one.mean, one.high].into_iter().all(f64::is_finite);
    let drawn: Vec<&Interval> = rows.iter().map(|row| &row.interval).filter(|one| finite(one)).collect();
    if drawn.is_empty() {
        return Err(PlotError::Nothing { what: "every difference" });
    }
    let domain = domain(drawn);
    let (low, high) = (domain.first().copied().unwrap_or(0.0), domain.last().copied().unwrap_or(1.0));
    let pixel = |value: f64| (f64::from(SCALE) * value).round() as i32;
    let across = |value: f64| pixel(f64::from(NAMES) + f64::from(PLOT) * (value - low) / (high - low).max(1e-300));
    let bottom = ROW * rows.len() as u32;
    draw((NAMES + PLOT + NUMBERS, bottom + 70), |area| {
        let area = headed(area, title, &[])?;
        let text = |position| label(&area).pos(Pos::new(position, VPos::Center));
        for tick in &domain {
            let at_zero = tick.abs() < 1e-12 * high.max(-low);
            let paint = if at_zero { Paint::Axis } else { Paint::Grid };
            let style = paint.colour().stroke_width(if at_zero { 2 * SCALE } else { SCALE });
            area.draw(&PathElement::new([(across(*tick), 0), (across(*tick), pixel(f64::from(bottom)))], style))?;
            let under = (across(*tick), pixel(f64::from(bottom + 14)));
            area.draw(&Text::new(write(*tick), under, text(HPos::Center)))?;
        }
        for (number, row) in rows.iter().enumerate() {
            let middle = pixel(f64::from(ROW) * (number as f64 + 0.5));
            let end = (pixel(f64::from(NAMES - 14)), middle);
            area.draw(&Text::new(name(&row.name), end, text(HPos::Right)))?;
            let Interval { mean, low, high } = row.interval;
            if !finite(&row.interval) {
                continue;
            }
            let ink = Paint::Ink.colour().stroke_width(2 * SCALE);
            area.draw(&PathElement::new([(across(low), middle), (across(high), middle)], ink))?;
            let cap = pixel(5.0);
            for end in [low, high] {
                area.draw(&PathElement::new([(across(end), middle - cap), (across(end), middle + cap)], ink))?;
            }
            let inside = if low > 0.0 || high < 0.0 { Paint::Ink } else { Paint::Paper };
            area.draw(&Circle::new((across(mean), middle), 5 * SCALE, inside.colour().filled()))?;
            area.draw(&Circle::new((across(mean), middle), 5 * SCALE, ink))?;
            let told = format!("{} ({} to {})", write(mean), write(low), write(high));
            area.draw(&Text::new(told, (pixel(f64::from(NAMES + PLOT + 16)), middle), text(HPos::Left)))?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_named_and_resolved_ones_filled() {
        let row = |name: &str, low, high| ForestRow {
            name: name.to_owned(),
            interval: Interval { mean: (low + high) / 2.0, low, high },
        };
        let rows =
            [row("no tests & no verifier", -0.2, -0.1), row("no tie-break", -0.02, 0.04), row("broken", f64::NAN, 1.0)];
        let svg = forest("Ablations", &rows, |value| format!("{value:+.2}")).unwrap().svg();
        for part in ["no tests &amp; no verifier", "-0.15 (-0.20 to -0.10)", "broken"] {
            assert!(svg.contains(part), "{part} is not in {svg}");
        }
        let filled = |colour: &str| {
            svg.lines()
                .filter(|line| line.starts_with("<circle") && line.contains(&format!("fill=\"{colour}\"")))
                .count()
        };
        assert_eq!((filled("#1b1f24"), filled("#ffffff")), (1, 1), "{svg}");
        assert!(matches!(forest("x", &rows[2..], |value| value.to_string()), Err(PlotError::Nothing { .. })));
    }
}
