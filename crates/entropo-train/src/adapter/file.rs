//! Adapters on disk, as PEFT stores them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use burn::tensor::DType;

use super::config::{LoraConfig, Selected};
use super::error::AdapterError;
use super::targets::Targets;
use super::{Adapter, LowRank};
use crate::checkpoint::{
    CheckpointError, DeviceTensors, Problems, Staging, TensorSource, Weights, convert, tensors_to_bytes, write_file,
};
use crate::decoder::Decoder;

/// The configuration's file name.
const CONFIG: &str = "adapter_config.json";
/// The changes' file name.
const WEIGHTS: &str = "adapter_model.safetensors";

/// Names of a layer's A and B in the file.
fn names(layer: &str) -> [String; 2] {
    ["A", "B"].map(|part| format!("base_model.model.{layer}.lora_{part}.weight"))
}

impl Adapter {
    /// Reads an adapter directory of PEFT, or of [`save`](Self::save), for a decoder like `decoder`. F16 and BF16 are
    /// widened.
    ///
    /// # Errors
    /// A configuration that asks for what is not done here, patterns that match nothing, and a report of every tensor
    /// that is missing, unexpected, of another shape or type, or not finite.
    pub fn load(directory: &Path, decoder: &Decoder) -> Result<Self, AdapterError> {
        let path = directory.join(CONFIG);
        let text =
            std::fs::read_to_string(&path).map_err(|source| CheckpointError::File { path: path.clone(), source })?;
        let config = LoraConfig::from_json(&text, &path.display().to_string())?;
        let selected = config.select(&decoder.linear_shapes())?;
        let mut weights = Weights::open_file(&directory.join(WEIGHTS))?;
        let mut problems = Vec::new();
        let mut take = |name: &str, shape: [usize; 2]| {
            let data = weights.take(name, &shape).and_then(|data| convert(name, data, DType::F32));
            data.map_err(|problem| problems.push(problem)).ok()
        };
        let mut layers = BTreeMap::new();
        for Selected { name, shape: [output, input], rank, scale } in selected {
            let [a, b] = names(&name);
            if let (Some(a), Some(b)) = (take(&a, [rank, input]), take(&b, [output, rank])) {
                layers.insert(name, LowRank { a, b, scale });
            }
        }
        problems.extend(weights.unexpected(|_| false));
        if problems.is_empty() {
            Ok(Self { config, layers })
        } else {
            Err(AdapterError::Mismatch { origin: weights.origin().to_owned(), problems: Problems(problems) })
        }
    }

    /// Writes an adapter directory that PEFT opens, its changes as f32. Both files come to be together: a crash leaves
    /// the old directory or the new one. Other files in the directory are kept.
    ///
    /// # Errors
    /// Whatever the file system says; nothing is left behind then.
    pub fn save(&self, directory: &Path) -> Result<(), AdapterError> {
        let mut tensors = DeviceTensors::default();
        for (layer, LowRank { a, b, .. }) in &self.layers {
            for (name, data) in names(layer).into_iter().zip([a, b]) {
                tensors.insert_data(name, data.clone());
            }
        }
        let weights = tensors_to_bytes(&tensors, None)?;
        let config = LoraConfig { targets: self.targets(), ..self.config.clone() };
        let config = format!("{:#}\n", config.to_json());
        let failed = |source| CheckpointError::File { path: directory.to_owned(), source };
        let staging = Staging::beside(directory).map_err(failed)?;
        write_file(&staging.path().join(WEIGHTS), &weights)?;
        write_file(&staging.path().join(CONFIG), config.as_bytes())?;
        Ok(staging.commit(|_| true).map_err(failed)?)
    }

    /// The targets by name where the configuration says "all linear layers": other tools look up names.
    fn targets(&self) -> Targets {
        match &self.config.targets {
            Targets::AllLinear => {
                let ends = self.layers.keys().filter_map(|layer| layer.rsplit('.').next());
                Targets::names(ends.collect::<BTreeSet<_>>())
            }
            targets => targets.clone(),
        }
    }
}
