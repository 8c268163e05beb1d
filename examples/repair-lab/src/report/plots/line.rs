//! Lines over a grid: the one kind of chart that curves need.

use plotters::prelude::*;

use super::axis::Axis;
use super::{Area, Paint, PlotError, SCALE, draw, extent, label, outline, ticks};

/// Curves of several arms over one pair of axes.
pub(crate) struct LineChart {
    /// Page pixels.
    pub(crate) size: (u32, u32),
    /// What the horizontal axis counts.
    pub(crate) across: &'static str,
    /// The ends of the horizontal axis.
    pub(crate) from_to: (f64, f64),
    /// Where the horizontal axis is labelled, and with what.
    pub(crate) marks: Vec<(f64, String)>,
    /// Where the vertical axis is labelled; it ends at the first and the last.
    pub(crate) heights: Vec<f64>,
    /// How heights are written.
    pub(crate) height_label: fn(f64) -> String,
    /// The curves.
    pub(crate) lines: Vec<Line>,
    /// Intervals at single places.
    pub(crate) whiskers: Vec<Whisker>,
}

/// One arm's curve.
pub(crate) struct Line {
    /// The arm's number.
    pub(crate) arm: usize,
    /// Its points from left to right.
    pub(crate) points: Vec<(f64, f64)>,
    /// Those that have the arm's mark.
    pub(crate) marked: Vec<(f64, f64)>,
}

/// An arm's interval.
pub(crate) struct Whisker {
    /// The arm's number.
    pub(crate) arm: usize,
    /// Where it stands.
    pub(crate) at: f64,
    /// Its ends.
    pub(crate) from_to: (f64, f64),
}

/// Heights that enclose all finite values.
pub(crate) fn heights(values: impl IntoIterator<Item = f64>) -> Option<Vec<f64>> {
    extent(values).map(|(low, high)| ticks(low, high, 4))
}

impl LineChart {
    pub(crate) fn draw(&self) -> Result<String, PlotError> {
        draw(self.size, |area| self.paint(area))
    }

    fn paint(&self, area: &Area<'_>) -> Result<(), PlotError> {
        let (left, right) = self.from_to;
        let (Some(&low), Some(&high)) = (self.heights.first(), self.heights.last()) else { return Ok(()) };
        let places = self.marks.iter().map(|(place, _)| *place).collect();
        let mut chart = ChartBuilder::on(area)
            .margin_top(10 * SCALE)
            .margin_right(14 * SCALE)
            .x_label_area_size(40 * SCALE)
            .y_label_area_size(46 * SCALE)
            .build_cartesian_2d(Axis::new(left..right, places), Axis::new(low..high, self.heights.clone()))?;
        let name = |place: &f64| {
            let mark = self.marks.iter().find(|(mark, _)| (mark - place).abs() < 1e-9);
            mark.map(|(_, name)| name.clone()).unwrap_or_default()
        };
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(Paint::Grid.colour().stroke_width(SCALE))
            .axis_style(Paint::Axis.colour().stroke_width(SCALE))
            .set_all_tick_mark_size(4 * SCALE)
            .label_style(label(area))
            .axis_desc_style(label(area))
            .x_desc(self.across)
            .x_labels(self.marks.len())
            .y_labels(self.heights.len())
            .x_label_formatter(&name)
            .y_label_formatter(&|height| (self.height_label)(*height))
            .draw()?;
        let cap = 4 * SCALE as i32;
        for Whisker { arm, at, from_to: (low, high) } in &self.whiskers {
            let style = Paint::Arm(*arm).colour().mix(0.75).stroke_width(3 * SCALE / 2);
            chart.draw_series([PathElement::new([(*at, *low), (*at, *high)], style)])?;
            let end = |height: f64| EmptyElement::at((*at, height)) + PathElement::new([(-cap, 0), (cap, 0)], style);
            chart.draw_series([low, high].map(|height| end(*height)))?;
        }
        for line in &self.lines {
            let colour = Paint::Arm(line.arm).colour();
            chart.draw_series(LineSeries::new(line.points.iter().copied(), colour.stroke_width(2 * SCALE)))?;
            let mark = |point: &(f64, f64)| EmptyElement::at(*point) + Polygon::new(outline(line.arm), colour.filled());
            chart.draw_series(line.marked.iter().map(mark))?;
        }
        Ok(())
    }
}
