//! Rollouts as text and as a page, also in a real browser.

mod browser;
mod page;
mod sets;
mod text;
