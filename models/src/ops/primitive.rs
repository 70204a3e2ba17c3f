use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;

/// A CPU tensor whose values lie in one piece, copied only if they did not.
#[derive(Clone, Debug)]
pub(super) struct Contiguous(FlexTensor);

impl Contiguous {
    pub(super) fn new(tensor: FlexTensor) -> Self {
        Self(if tensor.is_contiguous() { tensor } else { tensor.to_contiguous() })
    }

    pub(super) fn values(&self) -> &[f32] {
        self.0.as_slice().expect("a contiguous f32 tensor")
    }

    pub(super) fn into_tensor(self) -> FlexTensor {
        self.0
    }

    pub(super) fn shape<const D: usize>(&self) -> [usize; D] {
        self.0.shape().dims()
    }
}

/// A CPU tensor of `values` in row-major order.
pub(super) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}
