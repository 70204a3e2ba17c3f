//! Files for the tests of what checkpoints are turned into.
#![allow(clippy::unwrap_used)]

use ::safetensors::Dtype;
use ::safetensors::tensor::{TensorView, serialize_to_file};

use super::Checkpoint;

/// A file of tensors of these shapes: the first counts from 0, the next from 100, and so on.
pub(super) fn file(tensors: &[(&str, &[usize])]) -> (tempfile::TempDir, Checkpoint) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let values = |place: usize, shape: &[usize]| {
        (0..shape.iter().product()).flat_map(move |index: usize| ((100 * place + index) as f32).to_le_bytes())
    };
    let bytes: Vec<Vec<u8>> =
        tensors.iter().enumerate().map(|(place, (_, shape))| values(place, shape).collect()).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape), bytes)| (*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap()));
    serialize_to_file(views, None, &path).unwrap();
    let checkpoint = Checkpoint::open(&path).unwrap();
    (folder, checkpoint)
}
