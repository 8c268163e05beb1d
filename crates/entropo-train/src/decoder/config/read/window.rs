//! Which layers attend to a window only.

use super::super::ConfigError;
use super::super::keys::Keys;

/// Each layer's window where `layer_types` decides, and `slides` of a layer's index if that key is absent.
pub(super) fn by_type(
    keys: &Keys<'_>,
    layers: usize,
    window: Option<usize>,
    slides: impl Fn(usize) -> bool,
) -> Result<Vec<Option<usize>>, ConfigError> {
    let sliding = layer_types(keys, layers)?.unwrap_or_else(|| (0..layers).map(slides).collect());
    if window.is_none() && sliding.contains(&true) {
        return Err(keys.wrong("sliding_window", "how many positions the layers with sliding_attention see"));
    }
    Ok(sliding.into_iter().map(|slides| window.filter(|_| slides)).collect())
}

/// Each layer's window in Qwen 2 and 3: none without `use_sliding_window`, and none below `max_window_layers`.
pub(super) fn above_first(keys: &Keys<'_>, layers: usize) -> Result<Vec<Option<usize>>, ConfigError> {
    let window = if_used(keys)?;
    let first = keys.whole("max_window_layers", 28)?;
    by_type(keys, layers, window, |index| window.is_some() && index >= first)
}

/// The window of Qwen's files, which has to be switched on.
pub(super) fn if_used(keys: &Keys<'_>) -> Result<Option<usize>, ConfigError> {
    let used = keys.boolean("use_sliding_window", false)?;
    Ok(keys.optional_count("sliding_window", Some(4096))?.filter(|_| used))
}

/// Refuses windows: the family has none.
pub(super) fn refuse(keys: &Keys<'_>, layers: usize) -> Result<(), ConfigError> {
    keys.only("sliding_window", &serde_json::Value::Null, "attention is full in every layer of this family")?;
    refuse_other_types(keys, layers, false)
}

/// Refuses layers of another type than all have, in a family that does not look at `layer_types`.
pub(super) fn refuse_other_types(keys: &Keys<'_>, layers: usize, sliding: bool) -> Result<(), ConfigError> {
    match layer_types(keys, layers)? {
        Some(types) if types.contains(&!sliding) => {
            Err(keys.unsupported("layer_types", "the layers of this family all have the same attention"))
        }
        _ => Ok(()),
    }
}

/// Whether each layer slides, if the file says so.
fn layer_types(keys: &Keys<'_>, layers: usize) -> Result<Option<Vec<bool>>, ConfigError> {
    let Some(types) = keys.list("layer_types")? else { return Ok(None) };
    if types.len() != layers {
        return Err(keys.wrong("layer_types", "one entry for each of num_hidden_layers"));
    }
    let sliding = types.iter().map(|kind| match kind.as_str() {
        Some("full_attention") => Ok(false),
        Some("sliding_attention") => Ok(true),
        _ => Err(keys.unsupported("layer_types", "layers have full_attention or sliding_attention")),
    });
    sliding.collect::<Result<_, _>>().map(Some)
}
