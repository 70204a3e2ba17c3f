//! stand-in for `ops::anti_aliased_snake` until it is merged
use burn::tensor::Tensor;
use burn::tensor::module::{conv_transpose1d, conv1d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions, PadMode};

pub fn anti_aliased_snake(
    x: Tensor<3>,
    alpha: Tensor<1>,
    beta: Tensor<1>,
    up_filter: Tensor<1>,
    down_filter: Tensor<1>,
) -> Tensor<3> {
    let [_, channels, _] = x.dims();
    let taps = up_filter.dims()[0];
    let kernel = |filter: Tensor<1>| filter.reshape([1, 1, taps]).repeat_dim(0, channels);
    let column = |values: Tensor<1>| values.reshape([1, channels, 1]);
    let up = ConvTransposeOptions::new([2], [15], [0], [1], channels);
    let fine = conv_transpose1d(x.pad([(5, 5)], PadMode::Edge), kernel(up_filter), None, up) * 2.0;
    let sine = (fine.clone() * column(alpha)).sin();
    let fine = fine + sine.square() / (column(beta) + 1e-9);
    let down = ConvOptions::new([2], [0], [1], channels);
    conv1d(fine.pad([(5, 6)], PadMode::Edge), kernel(down_filter), None, down)
}
