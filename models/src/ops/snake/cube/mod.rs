//! The activation on a GPU, in `CubeCL`: one launch each way, none of its signals in memory, and short ones for the sums of
//! alpha's and beta's gradients.

// An array of a kernel only stands for one, and looks small.
#![allow(clippy::trivially_copy_pass_by_ref)]

mod backward;
mod ends;
mod forward;
mod stretch;
mod wave;

use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_dtype;
use burn_cubecl::ops::{permute_nchw_to_nhwc, permute_nhwc_to_nchw};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::{AddressType, BufferArg};

use self::backward::backward;
use self::forward::forward;
use super::autodiff::{SnakeGradients, SnakeKernel};
use super::signals::Signals;

/// `[batch, channel, time]` → `[batch, time, channel]`, channels beside each other in memory, as convolutions leave them.
fn channels_last(tensor: CubeTensor) -> CubeTensor {
    let tensor = permute_nchw_to_nhwc(tensor);
    let [_, _, channels] = tensor.shape().dims();
    if channels == 1 || tensor.meta.strides()[2] == 1 { tensor } else { into_contiguous(tensor) }
}

/// A vector's values, one after the other.
///
/// # Panics
///
/// If they are not in `f32`.
fn values(tensor: CubeTensor) -> BufferArg {
    assert_eq!(tensor.dtype, DType::F32, "the kernel's type");
    into_contiguous(tensor).into_buffer_arg()
}

/// A tensor with room for values, laid out as the next convolution wants them.
fn room(beside: &CubeTensor) -> CubeTensor {
    empty_device_dtype(beside.client.clone(), beside.device.clone(), beside.shape(), DType::F32)
}

/// The signals of tensors of one shape, and what their places are counted in.
///
/// # Panics
///
/// If they are not in `f32`.
fn signals(tensors: &[&CubeTensor]) -> (Signals, AddressType) {
    assert!(tensors.iter().all(|tensor| tensor.dtype == DType::F32), "the kernel's type");
    let [batch, time, channels] = tensors[0].shape().dims();
    let address = tensors.iter().map(|tensor| tensor.required_address_type()).max();
    (Signals { batch, time, channels }, address.unwrap_or_default())
}

impl SnakeKernel for CubeBackend {
    fn snake_kernel(
        input: CubeTensor,
        alpha: CubeTensor,
        beta: CubeTensor,
        up: CubeTensor,
        down: CubeTensor,
    ) -> CubeTensor {
        let input = channels_last(input);
        let output = room(&input);
        let (client, signals) = (input.client.clone(), signals(&[&input, &output]));
        let [vectors, filters] = [[alpha, beta], [up, down]].map(|pair| pair.map(values));
        let [from, to] = [input, output.clone()].map(CubeTensor::into_tensor_arg);
        forward(&client, signals, from, vectors, filters, to);
        permute_nhwc_to_nchw(output)
    }
}

impl SnakeGradients for CubeBackend {
    fn snake_gradients(
        gradient: CubeTensor,
        input: CubeTensor,
        alpha: CubeTensor,
        beta: CubeTensor,
        up: CubeTensor,
        down: CubeTensor,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let [gradient, input] = [gradient, input].map(channels_last);
        let of_input = room(&input);
        let signals = signals(&[&gradient, &input, &of_input]);
        let (client, device, channels) = (input.client.clone(), input.device.clone(), signals.0.channels);
        let [vectors, filters] = [[alpha, beta], [up, down]].map(|pair| pair.map(values));
        let [gradient, input, to] = [gradient, input, of_input.clone()].map(CubeTensor::into_tensor_arg);
        let [alpha, beta] = backward(&client, signals, [gradient, input], vectors, filters, to).map(|handle| {
            let (client, shape) = (client.clone(), Shape::new([channels]));
            CubeTensor::new_contiguous(client, device.clone(), shape, handle, DType::F32)
        });
        (permute_nhwc_to_nchw(of_input), alpha, beta)
    }
}
