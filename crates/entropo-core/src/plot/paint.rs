//! Colours by their purpose, and the marks of series.

use plotters::style::RGBColor;

use super::SCALE;

/// Series that can be told apart by colour; after these, colours repeat with other marks.
pub const COLOURS: usize = 7;
/// The marks, as a legend writes them.
const MARKS: [&str; 5] = ["●", "■", "▲", "◆", "▼"];

/// A colour by its purpose.
#[derive(Clone, Copy, Debug)]
pub(super) enum Paint {
    /// Text of axes.
    Label,
    /// The axes.
    Axis,
    /// Lines to read along.
    Grid,
    /// Data of no particular arm.
    Ink,
    /// Behind everything.
    Paper,
    /// Data of an arm by its number.
    Arm(usize),
}

impl Paint {
    pub(super) const ALL: [Self; 12] = [
        Self::Label,
        Self::Axis,
        Self::Grid,
        Self::Ink,
        Self::Paper,
        Self::Arm(0),
        Self::Arm(1),
        Self::Arm(2),
        Self::Arm(3),
        Self::Arm(4),
        Self::Arm(5),
        Self::Arm(6),
    ];

    /// The placeholder.
    pub(super) fn colour(self) -> RGBColor {
        let number = match self {
            Self::Label => 0,
            Self::Axis => 1,
            Self::Grid => 2,
            Self::Ink => 3,
            Self::Paper => 4,
            Self::Arm(arm) => 16 + (arm % COLOURS) as u8,
        };
        RGBColor(number, 255, number)
    }

    /// What the placeholder becomes.
    pub(super) fn css(self) -> String {
        match self {
            Self::Label => "var(--muted)".to_owned(),
            Self::Axis => "var(--axis)".to_owned(),
            Self::Grid => "var(--grid)".to_owned(),
            Self::Ink => "var(--ink)".to_owned(),
            Self::Paper => "var(--paper)".to_owned(),
            Self::Arm(arm) => format!("var(--arm-{})", arm % COLOURS),
        }
    }

    /// What it becomes where there is no page.
    pub(super) fn fixed(self) -> &'static str {
        const SERIES: [&str; COLOURS] = ["#0072b2", "#d55e00", "#00875f", "#a8488f", "#9a6c00", "#57606a", "#3a8fb7"];
        match self {
            Self::Label => "#57606a",
            Self::Axis => "#8b949e",
            Self::Grid => "#e8ebef",
            Self::Ink => "#1b1f24",
            Self::Paper => "#ffffff",
            Self::Arm(arm) => SERIES.iter().cycle().nth(arm % COLOURS).copied().unwrap_or("#1b1f24"),
        }
    }
}

/// The legend's form of an arm's mark.
pub fn mark(arm: usize) -> &'static str {
    MARKS.iter().cycle().nth(arm % MARKS.len()).copied().unwrap_or("●")
}

/// An arm's mark as a polygon around the origin, in pixels of the drawing.
pub(super) fn outline(arm: usize) -> Vec<(i32, i32)> {
    let size = 4.2 * f64::from(SCALE);
    let ring = |corners: usize, turn: f64, radius: f64| {
        (0..corners)
            .map(|corner| {
                let angle = std::f64::consts::TAU * (corner as f64 / corners as f64 + turn);
                ((radius * angle.cos()).round() as i32, (radius * angle.sin()).round() as i32)
            })
            .collect()
    };
    match arm % MARKS.len() {
        0 => ring(16, 0.0, size),
        1 => ring(4, 0.125, 1.25 * size),
        2 => ring(3, -0.25, 1.35 * size),
        3 => ring(4, 0.0, 1.3 * size),
        _ => ring(3, 0.25, 1.35 * size),
    }
}
