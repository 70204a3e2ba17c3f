use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Tensor, module};

/// The activation in burn's own operations.
pub(super) fn plain(
    x: Tensor<3>,
    alpha: Tensor<1>,
    beta: Tensor<1>,
    up_filter: Tensor<1>,
    down_filter: Tensor<1>,
) -> Tensor<3> {
    let shape @ [batch, channels, time] = x.dims();
    // One filter for all channels: they are items of a batch of one channel each.
    let reach = up_filter.dims()[0] / 2 - 1;
    let rows = with_ends_held(x.reshape([batch * channels, 1, time]), reach, reach);
    let options = ConvTransposeOptions::new([2], [0], [0], [1], 1);
    let doubled = module::conv_transpose1d(rows, up_filter.unsqueeze_dims(&[0, 1]) * 2.0, None, options);
    let doubled = doubled.narrow(2, 3 * reach, 2 * time).reshape([batch, channels, 2 * time]);

    let [alpha, beta]: [Tensor<3>; 2] = [alpha, beta].map(|vector| vector.unsqueeze_dims(&[0, 2]));
    let active = (doubled.clone() * alpha).sin().square() / (beta + 1e-9) + doubled;

    let reach = down_filter.dims()[0] / 2;
    let rows = with_ends_held(active.reshape([batch * channels, 1, 2 * time]), reach - 1, reach);
    module::conv1d(rows, down_filter.unsqueeze_dims(&[0, 1]), None, ConvOptions::new([2], [0], [1], 1)).reshape(shape)
}

/// Repeats the first and the last sample so many times beyond the ends.
fn with_ends_held(rows: Tensor<3>, before: usize, behind: usize) -> Tensor<3> {
    let last = rows.dims()[2] - 1;
    let ends =
        [(0, before), (last, behind)].map(|(place, count)| rows.clone().narrow(2, place, 1).repeat_dim(2, count));
    let [first, last] = ends;
    Tensor::cat(vec![first, rows, last], 2)
}
