use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::module::{Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};

use super::packed::Packed;
use super::{Narrow, kernel};
use crate::ops::has_kernels;
use crate::ops::linear;
use crate::ops::primitive::{Contiguous, tensor};

/// A linear layer without bias whose weights are narrower than f32, for a network that only computes. To whatever visits or
/// maps its parameters it has those of a [`Linear`]; what they become is narrowed at once, so that a network that is filled
/// tensor by tensor never has all weights in f32.
#[derive(Clone, Debug)]
pub struct NarrowLinear {
    narrow: Narrow,
    weights: Weights,
}

#[derive(Clone, Debug)]
enum Weights {
    /// Still to be filled in.
    Awaited(Linear),
    Packed(Arc<Packed>, Device),
}

impl NarrowLinear {
    /// A layer of these weights, or, if it has none yet, of those that it is filled with.
    ///
    /// # Panics
    ///
    /// If it has a bias.
    pub fn new(linear: Linear, narrow: Narrow) -> Self {
        assert!(linear.bias.is_none(), "a layer without bias");
        if !linear.weight.is_initialized() {
            return Self { narrow, weights: Weights::Awaited(linear) };
        }
        let weight = linear.weight.val().without_autodiff();
        let ([inner, outer], device) = (weight.dims(), weight.device());
        let values = weight.transpose().into_data().convert::<f32>();
        let packed = Packed::new(values.as_slice().expect("f32, as converted"), [outer, inner], narrow);
        Self { narrow, weights: Weights::Packed(Arc::new(packed), device) }
    }

    /// # Shapes
    ///
    /// `[batch, …, in]` → `[batch, …, out]`
    ///
    /// # Panics
    ///
    /// If the last axis of `input` is not the layer's.
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let mut shape = input.dims();
        match &self.weights {
            Weights::Packed(packed, _) if has_kernels(&input) && !input.is_autodiff() && !shape.contains(&0) => {
                assert_eq!(shape[D - 1], packed.inner, "the last axis of an input of {shape:?}");
                let rows = input.reshape([shape.iter().product::<usize>() / packed.inner, packed.inner]);
                let output = Dispatch::narrow_kernel(rows.into_dispatch(), packed.clone());
                shape[D - 1] = packed.outer;
                Tensor::<2>::from_dispatch(output).reshape(shape)
            }
            _ => linear(&self.widened(), input),
        }
    }

    /// The same layer in f32.
    fn widened(&self) -> Linear {
        match &self.weights {
            Weights::Awaited(linear) => linear.clone(),
            Weights::Packed(packed, device) => {
                let shape = [packed.outer, packed.inner];
                let published = Tensor::<2>::from_data(TensorData::new(packed.values(), shape), device);
                let linear = LinearConfig::new(packed.inner, packed.outer).with_bias(false).init(device);
                Linear { weight: Param::from_tensor(published.transpose()).no_grad(), ..linear }
            }
        }
    }

    fn on(self, device: &Device, moved: impl FnOnce(Linear) -> Linear) -> Self {
        let weights = match self.weights {
            Weights::Awaited(linear) => Weights::Awaited(moved(linear)),
            Weights::Packed(packed, _) => Weights::Packed(packed, device.clone()),
        };
        Self { weights, ..self }
    }
}

impl Module for NarrowLinear {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.widened().visit(visitor);
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        Self::new(self.widened().map(mapper), self.narrow)
    }

    fn collect_devices(&self, mut devices: Devices) -> Devices {
        match &self.weights {
            Weights::Awaited(linear) => linear.collect_devices(devices),
            Weights::Packed(_, device) => {
                if !devices.contains(device) {
                    devices.push(device.clone());
                }
                devices
            }
        }
    }

    fn to_device(self, device: &Device) -> Self {
        self.on(device, |linear| linear.to_device(device))
    }

    fn fork(self, device: &Device) -> Self {
        self.on(device, |linear| linear.fork(device))
    }

    fn train(self) -> Self {
        self
    }

    fn valid(&self) -> Self {
        self.clone()
    }

    fn materialize(self) -> Self {
        Self::new(self.widened().materialize(), self.narrow)
    }
}

impl ModuleDisplayDefault for NarrowLinear {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&format!("{:?}", self.narrow)).optional()
    }
}

impl ModuleDisplay for NarrowLinear {}

/// Rows times packed weights, as one operation.
#[backend_extension(Flex)]
trait NarrowKernel: Backend {
    fn narrow_kernel(rows: FloatTensor<Self>, weights: Arc<Packed>) -> FloatTensor<Self>;
}

impl NarrowKernel for Flex {
    fn narrow_kernel(rows: FlexTensor, weights: Arc<Packed>) -> FlexTensor {
        let rows = Contiguous::new(rows);
        let [count, _] = rows.shape();
        tensor(kernel::product(rows.values(), &weights), [count, weights.outer])
    }
}
