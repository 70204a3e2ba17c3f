//! Parts of clips through a network together.

use burn::tensor::Tensor;
use ndarray::Array2;
use rayon::prelude::*;

/// The vectors of clips that are made of parts: `features` of each part, `batch` of them at a time through `network`. No
/// more than one batch of features is held.
///
/// # Shapes
/// - network: the features of some parts, flat, and how many → `[part, dim]`
/// - output: `[part, dim]` a clip
pub(crate) fn through<P: Sync>(
    clips: &[Vec<P>],
    [batch, dim]: [usize; 2],
    features: impl Fn(usize, &P) -> Vec<f32> + Sync,
    network: impl Fn(Vec<f32>, usize) -> Tensor<2>,
) -> Vec<Array2<f32>> {
    let parts: Vec<(usize, &P)> =
        clips.iter().enumerate().flat_map(|(clip, parts)| parts.iter().map(move |part| (clip, part))).collect();
    let mut vectors = Vec::with_capacity(parts.len() * dim);
    for parts in parts.chunks(batch) {
        let input: Vec<Vec<f32>> = parts.par_iter().map(|(clip, part)| features(*clip, part)).collect();
        vectors.extend(values(network(input.concat(), parts.len())));
    }
    let mut rest = vectors.into_iter();
    let of_clip = |parts: &Vec<P>| {
        let values: Vec<f32> = rest.by_ref().take(parts.len() * dim).collect();
        Array2::from_shape_vec((parts.len(), dim), values).expect("the network gives a vector for every part")
    };
    clips.iter().map(of_clip).collect()
}

/// A tensor on the host.
pub(crate) fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().try_to_vec().expect("just converted")
}
