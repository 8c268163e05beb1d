//! Decoder, objectives, trainer and local model of entropo, on burn.
