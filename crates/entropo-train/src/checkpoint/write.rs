//! Tensors to safetensors, one at a time: the header first, which names, shapes and types suffice for, then the values.

use std::io::{self, Write};
use std::path::Path;

use burn::tensor::{DType, FloatDType};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::error::{CheckpointError, Problem, Problems};
use super::replace::replace_file;
use super::tensors::{DeviceTensor, DeviceTensors, convert, precision};
use super::weights::finite;
use crate::decoder::Decoder;

/// The decoder's weights as a safetensors file in their own type, under Hugging Face's names and in its layout.
pub fn decoder_to_bytes(decoder: &Decoder) -> Result<Vec<u8>, CheckpointError> {
    tensors_to_bytes(&whole(decoder)?, None)
}

/// A decoder's weights, which must be all that it computes with.
pub(super) fn whole(decoder: &Decoder) -> Result<DeviceTensors, CheckpointError> {
    match decoder {
        decoder if decoder.has_adapter() => Err(CheckpointError::Adapter),
        decoder if decoder.is_quantised() => Err(CheckpointError::Quantised),
        decoder => Ok(DeviceTensors::of(decoder)),
    }
}

/// A safetensors file of tensors in a type, or in each one's own.
pub(crate) fn tensors_to_bytes(tensors: &DeviceTensors, dtype: Option<FloatDType>) -> Result<Vec<u8>, CheckpointError> {
    let mut bytes = Vec::new();
    match write(&mut bytes, &plan(tensors, dtype)?) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(error.at("memory".as_ref())),
    }
}

/// Replaces a file by tensors in their own types, one at a time, and a key and its text in the header.
///
/// # Errors
/// Whatever the file system says, and a tensor that holds NaN or infinity; the old file is as it was then.
pub(crate) fn write_tensors(path: &Path, tensors: &DeviceTensors, word: [&str; 2]) -> Result<(), CheckpointError> {
    let plan = plan(tensors, None)?;
    replace_file(path, |out| write_with(out, &plan, word, true)).map_err(|error: WriteError| error.at(path))
}

/// A tensor as it will be stored.
pub(super) struct Planned<'a> {
    pub(super) name: &'a str,
    pub(super) tensor: &'a DeviceTensor,
    pub(super) dtype: DType,
    stored: Dtype,
    pub(super) bytes: usize,
}

/// How tensors will be stored, by name.
pub(super) fn plan(tensors: &DeviceTensors, dtype: Option<FloatDType>) -> Result<Vec<Planned<'_>>, CheckpointError> {
    let planned = tensors.iter().map(|(name, tensor)| {
        let dtype = dtype.map_or(tensor.dtype, |asked| precision(name, asked));
        let stored = match dtype {
            DType::F32 => Dtype::F32,
            DType::F16 => Dtype::F16,
            DType::BF16 => Dtype::BF16,
            other => return Err(Problem::Type { name: name.to_owned(), found: other.name().into() }),
        };
        let bytes = tensor.shape.iter().product::<usize>() * stored.bitsize() / 8;
        Ok(Planned { name, tensor, dtype, stored, bytes })
    });
    let (planned, problems): (Vec<_>, Vec<_>) = planned.partition(Result::is_ok);
    match problems.into_iter().filter_map(Result::err).collect::<Vec<_>>() {
        problems if problems.is_empty() => Ok(planned.into_iter().flatten().collect()),
        problems => Err(CheckpointError::Unsaved(Problems(problems))),
    }
}

/// Why a file cannot be written.
#[derive(Debug)]
pub(super) enum WriteError {
    File(io::Error),
    Tensor(Problem),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

impl WriteError {
    pub(super) fn at(self, path: &Path) -> CheckpointError {
        match self {
            Self::File(source) => CheckpointError::File { path: path.to_owned(), source },
            Self::Tensor(problem) => CheckpointError::Unsaved(Problems(vec![problem])),
        }
    }
}

/// Writes a safetensors file: wide types first, so that all values are aligned, and by name among them.
pub(super) fn write(out: &mut impl Write, tensors: &[Planned<'_>]) -> Result<(), WriteError> {
    write_with(out, tensors, ["format", "pt"], false)
}

/// The same with another key and text in the header, and a refusal of NaN and infinity.
fn write_with(
    out: &mut impl Write,
    tensors: &[Planned<'_>],
    word: [&str; 2],
    only_finite: bool,
) -> Result<(), WriteError> {
    let mut tensors: Vec<&Planned<'_>> = tensors.iter().collect();
    tensors.sort_by_key(|planned| (std::cmp::Reverse(planned.stored), planned.name));
    out.write_all(&header(&tensors, word)?)?;
    for Planned { name, tensor, dtype, bytes, .. } in tensors {
        let data = tensor.data(name).and_then(|data| convert(name, data, *dtype)).map_err(WriteError::Tensor)?;
        if data.as_bytes().len() != *bytes {
            let found = data.shape().to_vec();
            let (name, expected) = ((*name).to_owned(), tensor.shape.clone());
            return Err(WriteError::Tensor(Problem::Shape { name, found, expected }));
        }
        if only_finite && !finite(data.as_bytes(), *dtype) {
            return Err(WriteError::Tensor(Problem::NotFinite((*name).to_owned())));
        }
        out.write_all(data.as_bytes())?;
    }
    Ok(())
}

fn header(tensors: &[&Planned<'_>], [key, text]: [&str; 2]) -> io::Result<Vec<u8>> {
    let mut end = 0;
    let infos = tensors.iter().map(|planned| {
        let begin = end;
        end += planned.bytes;
        let (dtype, shape) = (planned.stored, planned.tensor.shape.clone());
        (planned.name.to_owned(), TensorInfo { dtype, shape, data_offsets: (begin, end) })
    });
    let words = [(key.to_owned(), text.to_owned())].into_iter().collect();
    let metadata = Metadata::new(Some(words), infos.collect()).map_err(io::Error::other)?;
    let mut json = serde_json::to_vec(&metadata)?;
    json.resize(json.len().next_multiple_of(size_of::<u64>()), b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.append(&mut json);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::*;

    /// Takes so many bytes and no more.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn some() -> DeviceTensors {
        let mut tensors = DeviceTensors::default();
        tensors.insert("b".to_owned(), Tensor::<2>::ones([3, 5], &Device::default()));
        tensors.insert("a".to_owned(), Tensor::<1>::ones([3], (&Device::default(), DType::BF16)));
        tensors
    }

    #[test]
    fn a_full_disk_is_an_error_wherever_it_happens() {
        let tensors = some();
        let whole = tensors_to_bytes(&tensors, None).unwrap();
        let plan = plan(&tensors, None).unwrap();
        for room in 0..whole.len() {
            assert!(matches!(write(&mut Full(room), &plan), Err(WriteError::File(_))), "{room}");
        }
        assert!(write(&mut Full(whole.len()), &plan).is_ok());
    }

    #[test]
    fn it_is_what_the_safetensors_crate_writes() {
        use safetensors::tensor::TensorView;
        let (ones, brain) = (1f32.to_le_bytes().repeat(15), [0x80, 0x3F].repeat(3));
        let views = [
            ("b", TensorView::new(Dtype::F32, vec![3, 5], &ones).unwrap()),
            ("a", TensorView::new(Dtype::BF16, vec![3], &brain).unwrap()),
        ];
        let format = [("format".to_owned(), "pt".to_owned())].into_iter().collect();
        assert_eq!(tensors_to_bytes(&some(), None).unwrap(), safetensors::serialize(views, Some(format)).unwrap());
    }

    #[test]
    fn values_too_large_for_f16_are_refused() {
        let mut tensors = DeviceTensors::default();
        tensors.insert("wide".to_owned(), Tensor::<1>::ones([2], &Device::default()) * 1e5);
        let error = tensors_to_bytes(&tensors, Some(FloatDType::F16)).unwrap_err();
        assert_eq!(error.to_string(), "the weights cannot be saved:\n  wide: holds values too large for F16");
        assert!(tensors_to_bytes(&tensors, Some(FloatDType::BF16)).is_ok());
    }
}
