//! The multi-turn tool-calling loop, parallel rollouts and the hybrid selector.
