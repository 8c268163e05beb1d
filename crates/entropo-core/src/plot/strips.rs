//! A forest plot, a strip for each row of a table: the interval of a difference against the line at 0.
//!
//! Strips share their axis, so they align under each other, and the words beside them stay words of the page.

use plotters::prelude::*;

use super::drawing::{Area, DrawingError, draw, label};
use super::paint::Paint;
use super::ticks::{extent, ticks};
use super::{Drawing, PlotError, SCALE};
use crate::stats::Interval;

const WIDTH: u32 = 380;
/// Room at both ends for the labels of the axis, page pixels.
const MARGIN: u32 = 18;

/// Where the shared axis is labelled; it encloses all `intervals` and 0.
pub fn domain<'a>(intervals: impl IntoIterator<Item = &'a Interval>) -> Vec<f64> {
    let values = intervals.into_iter().flat_map(|interval| [interval.low, interval.mean, interval.high]);
    let (low, high) = extent(values.chain([0.0])).unwrap_or((0.0, 0.0));
    ticks(low, high, 5)
}

/// The strip of one difference: a filled mark if it is resolved, a hollow one if not.
pub fn strip(interval: &Interval, resolved: bool, domain: &[f64]) -> Result<Drawing, PlotError> {
    paint(domain, 30, |place, area| {
        let height = |y: u32| (y * SCALE) as i32;
        for tick in domain {
            let style = Paint::Grid.colour().stroke_width(SCALE);
            area.draw(&PathElement::new([(place(*tick), 0), (place(*tick), height(30))], style))?;
        }
        let zero = Paint::Axis.colour().stroke_width(2 * SCALE);
        area.draw(&PathElement::new([(place(0.0), 0), (place(0.0), height(30))], zero))?;
        let (low, mean, high) = (interval.low, interval.mean, interval.high);
        if ![low, mean, high].into_iter().all(f64::is_finite) {
            return Ok(());
        }
        let ink = Paint::Ink.colour().stroke_width(2 * SCALE);
        area.draw(&PathElement::new([(place(low), height(15)), (place(high), height(15))], ink))?;
        for end in [low, high] {
            area.draw(&PathElement::new([(place(end), height(10)), (place(end), height(20))], ink))?;
        }
        let inside = if resolved { Paint::Ink } else { Paint::Paper };
        area.draw(&Circle::new((place(mean), height(15)), 5 * SCALE, inside.colour().filled()))?;
        area.draw(&Circle::new((place(mean), height(15)), 5 * SCALE, ink))
    })
}

/// The axis that the strips share.
pub fn axis(domain: &[f64], write: impl Fn(f64) -> String) -> Result<Drawing, PlotError> {
    paint(domain, 20, |place, area| {
        use plotters::style::text_anchor::{HPos, Pos, VPos};
        let style = label(area).pos(Pos::new(HPos::Center, VPos::Center));
        for tick in domain {
            area.draw(&Text::new(write(*tick), (place(*tick), (10 * SCALE) as i32), style.clone()))?;
        }
        Ok(())
    })
}

/// Draws with a function from values to places.
fn paint(
    domain: &[f64],
    height: u32,
    paint: impl FnOnce(&dyn Fn(f64) -> i32, &Area<'_>) -> Result<(), DrawingError>,
) -> Result<Drawing, PlotError> {
    let low = domain.first().copied().unwrap_or(0.0);
    let high = domain.last().copied().filter(|high| *high > low).unwrap_or(low + 1.0);
    let place = |value: f64| {
        let share = (value - low) / (high - low);
        (f64::from(SCALE) * (f64::from(MARGIN) + share * f64::from(WIDTH - 2 * MARGIN))).round() as i32
    };
    draw((WIDTH, height), |area| paint(&place, area))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_encloses_zero() {
        let interval = Interval { mean: 0.05, low: 0.04, high: 0.09 };
        let domain = domain([&interval]);
        assert!(domain.first() <= Some(&0.0) && domain.last() >= Some(&0.09), "{domain:?}");
        assert!(strip(&interval, true, &domain).unwrap().inline().contains("circle"));
    }

    #[test]
    fn nothing_is_drawn_for_what_is_not_a_number() {
        let interval = Interval { mean: f64::NAN, low: f64::NAN, high: f64::NAN };
        let svg = strip(&interval, false, &domain([&interval])).unwrap().inline();
        assert!(!svg.contains("circle"), "{svg}");
    }
}
