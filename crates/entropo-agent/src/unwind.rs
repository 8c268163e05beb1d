//! Panics of foreign code, as text: one broken tool or environment must not take a batch of rollouts with it.

use std::any::Any;

/// What a caught panic said.
pub(crate) fn message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "no message",
    }
}
