//! `BigVGAN`'s activation: a snake at twice the sampling rate, so that what it adds above the highest frequency is filtered
//! away, in one pass over memory each way.

mod autodiff;
mod backward;
#[cfg(feature = "cuda")]
mod cube;
mod forward;
mod plain;
#[cfg(any(feature = "cuda", test))]
mod signals;
mod sine;
mod strip;
mod tasks;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use self::autodiff::SnakeKernel;
use self::plain::plain;
use self::strip::TAPS;
use super::has_kernels;

/// The filters upwards and downwards.
type Filters = [[f32; TAPS]; 2];

/// Doubles the rate of `x`, applies the snake x + sin²(`alpha` · x) / (`beta` + 1e-9), and halves the rate again (Lee et al.,
/// "`BigVGAN`: a universal neural vocoder with large-scale training", 2023), with gradients for all but the filters. At
/// either rate, the first and the last sample are repeated beyond the ends. A result depends on nothing but its own sample and
/// the five to each side of it, to the last bit.
///
/// # Shapes
///
/// `[batch, channel, time]`, `[channel]` twice, `[taps]` twice, an even number → the same as the first
///
/// # Panics
///
/// If the shapes do not go together.
pub fn anti_aliased_snake(
    x: Tensor<3>,
    alpha: Tensor<1>,
    beta: Tensor<1>,
    up_filter: Tensor<1>,
    down_filter: Tensor<1>,
) -> Tensor<3> {
    let channels = x.dims()[1];
    let vectors = [alpha.dims()[0], beta.dims()[0]];
    assert_eq!(vectors, [channels; 2], "alpha and beta of {channels} channels");
    let taps = [up_filter.dims()[0], down_filter.dims()[0]];
    assert!(
        taps.iter().all(|taps| *taps > 0 && taps.is_multiple_of(2)),
        "filters of {taps:?} taps, expected even numbers"
    );
    if x.shape().num_elements() == 0 {
        return x;
    }
    let [up_filter, down_filter] = [up_filter, down_filter].map(Tensor::detach);
    if taps == [TAPS; 2] && has_kernel(&x) {
        let [alpha, beta, up, down] = [alpha, beta, up_filter, down_filter].map(Tensor::into_dispatch);
        return Tensor::from_dispatch(Dispatch::snake_kernel(x.into_dispatch(), alpha, beta, up, down));
    }
    plain(x, alpha, beta, up_filter, down_filter)
}

/// Whether there is a kernel for a tensor where it is.
fn has_kernel(x: &Tensor<3>) -> bool {
    #[cfg(feature = "cuda")]
    if super::has_cuda_kernels(x) {
        let [batch, channels, time] = x.dims();
        return signals::Signals { batch, time, channels }.fit();
    }
    has_kernels(x)
}
