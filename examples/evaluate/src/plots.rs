//! What a summary says, as pictures.

use std::path::{Path, PathBuf};

use entropo_core::plot::{Curve, PlotError, best_at_k};

use crate::failure::Failure;
use crate::summary::AtK;

/// Pixels of the PNG for each of the SVG.
const SCALE: f32 = 2.0;

/// Draws pass@k and the selector's best@k as `best-at-k.svg` and, where there is a font for labels, `best-at-k.png`. Says
/// what was written.
pub(crate) fn write(directory: &Path, title: &str, selector: &str, at_k: &[AtK]) -> Result<Vec<PathBuf>, Failure> {
    std::fs::create_dir_all(directory).map_err(Failure::file(directory))?;
    let pass = at_k.iter().map(|one| (one.k, one.pass_interval)).collect();
    let best = at_k.iter().map(|one| (one.k, one.best_interval)).collect();
    let curves = [
        Curve { name: "pass@k".to_owned(), points: pass },
        Curve { name: format!("best@k of {selector}"), points: best },
    ];
    let drawing = best_at_k(title, &curves)?;
    let path = directory.join("best-at-k.svg");
    std::fs::write(&path, drawing.svg()).map_err(Failure::file(&path))?;
    let mut written = vec![path];
    match drawing.png(SCALE) {
        Ok(pixels) => {
            let path = directory.join("best-at-k.png");
            std::fs::write(&path, pixels).map_err(Failure::file(&path))?;
            written.push(path);
        }
        Err(PlotError::NoFont) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(written)
}
