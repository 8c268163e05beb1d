//! Chat templates: what they say compared with transformers, and what hostile ones get.

mod hostile;
mod templates;
