//! A network's float parameters by their published names, whatever their rank.
//!
//! The structs of this crate name their fields as the published PyTorch modules do, so a parameter's path through them
//! is its name in a checkpoint (`down_blocks.0.resnets.1.norm1.weight`). Values cross this interface flat, in PyTorch's
//! memory order: where burn stores a matrix transposed ([`burn::nn::Linear`] holds `[in, out]`) it is turned here, and
//! the `gamma` and `beta` of burn's norms are called `weight` and `bias`, and the variants of an enum have no name. What is written against it — checkpoints,
//! optimisers, averages, norms — needs no rank and no table of names.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor, TensorData};

/// The name and the published shape of every float parameter, in the order of the module's fields. Nothing is
/// allocated: a network that was not filled yet can be counted.
pub fn shapes<M: Module>(module: &M) -> Vec<(String, Vec<usize>)> {
    let mut visitor = Shapes { place: Place::default(), shapes: Vec::new() };
    module.visit(&mut visitor);
    visitor.shapes
}

/// Shows every parameter, detached from any graph, as `(name, published shape, flat values)`.
pub fn visit<M: Module>(module: &M, see: impl FnMut(&str, &[usize], Tensor<1>)) {
    module.visit(&mut Values { place: Place::default(), see });
}

/// Takes the gradient of every parameter that has one out of `gradients`, as `(name, flat values)`.
pub fn take_gradients<M: Module>(module: &M, gradients: &mut Gradients, see: impl FnMut(&str, Tensor<1>)) {
    module.visit(&mut TakeGradients { place: Place::default(), gradients, see });
}

/// Replaces every parameter's flat values by `change(name, values)`, outside of any graph. Identity, device, gradient
/// tracking and checkpointing strategy of the parameter stay.
///
/// # Panics
///
/// If `change` returns another number of values.
#[must_use]
pub fn map<M: Module>(module: M, change: impl FnMut(&str, Tensor<1>) -> Tensor<1>) -> M {
    module.map(&mut Change { place: Place::default(), change })
}

/// Replaces every parameter by the host values of `values(name, published shape)`, on the device that the parameter
/// has or will have. A parameter that was never read is not initialised first.
///
/// # Errors
///
/// The first error of `values`.
///
/// # Panics
///
/// If `values` returns another number of values than the shape has.
pub fn fill<M: Module, E>(module: M, values: impl FnMut(&str, &[usize]) -> Result<Vec<f32>, E>) -> Result<M, E> {
    let mut filler = Fill { place: Place::default(), values, error: None };
    let module = module.map(&mut filler);
    filler.error.map_or(Ok(module), Err)
}

/// Where a walk is: the path of field names, and the type that owns the innermost one.
#[derive(Default)]
struct Place(Vec<(String, String)>);

impl Place {
    fn enter(&mut self, name: &str, container: &str) {
        self.0.push((name.to_owned(), container.to_owned()));
    }

    fn exit(&mut self) {
        self.0.pop();
    }

    fn name(&self) -> String {
        let mut name = String::new();
        for (part, container) in &self.0 {
            // Which of several networks a value is does not show in its names.
            if container.starts_with("Enum:") {
                continue;
            }
            if !name.is_empty() {
                name.push('.');
            }
            let norm =
                matches!(&**container, "Struct:GroupNorm" | "Struct:LayerNorm" | "Struct:BatchNorm" | "Struct:RmsNorm");
            name.push_str(match &**part {
                "gamma" if norm => "weight",
                "beta" if norm => "bias",
                part => part,
            });
        }
        name
    }

    /// Whether burn stores this parameter transposed.
    fn transposed(&self) -> bool {
        self.0.last().is_some_and(|(name, container)| name == "weight" && container == "Struct:Linear")
    }

    fn published_shape(&self, mut shape: Vec<usize>) -> Vec<usize> {
        if self.transposed() {
            shape.reverse();
        }
        shape
    }

    fn flatten<const D: usize>(&self, tensor: Tensor<D>) -> Tensor<1> {
        let tensor = if self.transposed() { tensor.swap_dims(0, 1) } else { tensor };
        let count = tensor.shape().num_elements();
        tensor.reshape([count])
    }

    fn unflatten<const D: usize>(&self, flat: Tensor<1>, mut shape: [usize; D]) -> Tensor<D> {
        if self.transposed() {
            shape.reverse();
            flat.reshape(shape).swap_dims(0, 1)
        } else {
            flat.reshape(shape)
        }
    }
}

struct Shapes {
    place: Place,
    shapes: Vec<(String, Vec<usize>)>,
}

impl ModuleVisitor for Shapes {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let shape = self.place.published_shape(param.lazy_shape().to_vec());
        self.shapes.push((self.place.name(), shape));
    }
}

struct Values<F> {
    place: Place,
    see: F,
}

impl<F: FnMut(&str, &[usize], Tensor<1>)> ModuleVisitor for Values<F> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val().without_autodiff();
        let shape = self.place.published_shape(tensor.dims().to_vec());
        (self.see)(&self.place.name(), &shape, self.place.flatten(tensor));
    }
}

struct TakeGradients<'a, F> {
    place: Place,
    gradients: &'a mut Gradients,
    see: F,
}

impl<F: FnMut(&str, Tensor<1>)> ModuleVisitor for TakeGradients<'_, F> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        if tensor.is_require_grad()
            && let Some(gradient) = tensor.grad_remove(self.gradients)
        {
            (self.see)(&self.place.name(), self.place.flatten(gradient.without_autodiff()));
        }
    }
}

struct Change<F> {
    place: Place,
    change: F,
}

impl<F: FnMut(&str, Tensor<1>) -> Tensor<1>> ModuleMapper for Change<F> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Self { place, change } = self;
        param.map(|tensor| {
            let (shape, tracked) = (tensor.dims(), tensor.is_require_grad());
            let strategy = tensor.gradient_checkpointing_strategy();
            let changed = change(&place.name(), place.flatten(tensor.without_autodiff()));
            let changed = place.unflatten(changed, shape);
            match strategy {
                Some(strategy) => {
                    changed.autodiff().with_gradient_checkpointing_strategy(strategy).set_require_grad(tracked)
                }
                None => changed,
            }
        })
    }
}

struct Fill<F, E> {
    place: Place,
    values: F,
    error: Option<E>,
}

impl<E, F: FnMut(&str, &[usize]) -> Result<Vec<f32>, E>> ModuleMapper for Fill<F, E> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.place.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.place.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.error.is_some() {
            return param;
        }
        let shape = param.lazy_shape().to_vec();
        match (self.values)(&self.place.name(), &self.place.published_shape(shape.clone())) {
            Ok(mut values) => {
                if self.place.transposed() {
                    values = transpose(&values, shape[1], shape[0]);
                }
                let tensor = Tensor::from_data(TensorData::new(values, shape), &param.lazy_device());
                let id = param.id;
                param.transform_for_load(tensor, id)
            }
            Err(error) => {
                self.error = Some(error);
                param
            }
        }
    }
}

/// `values`, a matrix of `rows` by `columns`, as one of `columns` by `rows`.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use burn::nn::conv::{Conv2d, Conv2dConfig};
    use burn::nn::{GroupNorm, GroupNormConfig, Linear, LinearConfig};
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Inner {
        group_norm: GroupNorm,
        to_out: [Linear; 1],
    }

    #[derive(Module, Debug)]
    struct Outer {
        conv_in: Conv2d,
        blocks: Vec<Inner>,
    }

    #[derive(Module, Debug)]
    enum OneOf {
        Outer(Outer),
    }

    fn outer(device: &Device) -> Outer {
        Outer {
            conv_in: Conv2dConfig::new([1, 2], [3, 3]).init(device),
            blocks: vec![Inner {
                group_norm: GroupNormConfig::new(1, 2).init(device),
                to_out: [LinearConfig::new(2, 3).init(device)],
            }],
        }
    }

    fn counting(module: Outer) -> Outer {
        fill(module, |_, shape| Ok::<_, ()>((0..shape.iter().product()).map(|i: usize| i as f32).collect())).unwrap()
    }

    fn host(tensor: Tensor<1>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn names_and_shapes_are_the_published_ones() {
        let expected = [
            ("conv_in.weight", vec![2, 1, 3, 3]),
            ("conv_in.bias", vec![2]),
            ("blocks.0.group_norm.weight", vec![2]),
            ("blocks.0.group_norm.bias", vec![2]),
            ("blocks.0.to_out.0.weight", vec![3, 2]),
            ("blocks.0.to_out.0.bias", vec![3]),
        ];
        let module = outer(&Device::flex());
        assert_eq!(shapes(&module), expected.map(|(name, shape)| (name.to_owned(), shape)));
        assert!(!module.conv_in.weight.is_initialized());
    }

    #[test]
    fn a_variant_is_no_part_of_a_name() {
        let device = Device::flex();
        assert_eq!(shapes(&OneOf::Outer(outer(&device))), shapes(&outer(&device)));
    }

    #[test]
    fn values_cross_in_published_order() {
        let module = counting(outer(&Device::flex()));
        let weight = module.blocks[0].to_out[0].weight.val();
        // Published [3, 2] = [[0, 1], [2, 3], [4, 5]]; burn holds its transpose.
        assert_eq!(weight.into_data().try_to_vec::<f32>().unwrap(), [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
        visit(&module, |name, shape, values| {
            let expected: Vec<f32> = (0..shape.iter().product()).map(|i: usize| i as f32).collect();
            assert_eq!(host(values), expected, "{name}");
        });
    }

    #[test]
    fn mapping_keeps_identity_and_tracking() {
        let device = Device::flex().autodiff().gradient_checkpointing();
        let before = counting(outer(&device));
        let mut before = Outer { conv_in: before.conv_in.no_grad(), ..before };
        let strategy = before.conv_in.weight.val().gradient_checkpointing_strategy();
        for round in 1..3 {
            let after = map(before.clone(), |_, values| values + 1.0);
            let (old, new) = (&before.blocks[0].to_out[0].weight, &after.blocks[0].to_out[0].weight);
            assert_eq!(old.id, new.id);
            assert!(new.is_require_grad() && !after.conv_in.weight.is_require_grad());
            assert_eq!(new.val().gradient_checkpointing_strategy(), strategy);
            assert_eq!(new.val().into_data().try_to_vec::<f32>().unwrap()[1], 2.0 + round as f32);
            before = after;
        }
    }

    #[test]
    fn a_plain_network_trains_after_mapping() {
        let module = map(counting(outer(&Device::flex())), |_, values| values * 0.5).train();
        assert!(module.conv_in.weight.is_require_grad());
    }

    #[test]
    fn gradients_come_by_name_and_only_once() {
        let module = counting(outer(&Device::flex().autodiff()));
        let linear = &module.blocks[0].to_out[0];
        let input = Tensor::<2>::from_data([[1.0, 10.0]], &Device::flex().autodiff());
        let scale = Tensor::<2>::from_data([[1.0, 2.0, 3.0]], &Device::flex().autodiff());
        let mut gradients = (linear.forward(input) * scale).sum().backward();
        let mut seen = Vec::new();
        take_gradients(&module, &mut gradients, |name, values| seen.push((name.to_owned(), host(values))));
        assert_eq!(
            seen,
            [
                // d/dW[o, i] = scale[o] * input[i]
                ("blocks.0.to_out.0.weight".to_owned(), vec![1.0, 10.0, 2.0, 20.0, 3.0, 30.0]),
                ("blocks.0.to_out.0.bias".to_owned(), vec![1.0, 2.0, 3.0]),
            ]
        );
        take_gradients(&module, &mut gradients, |name, _| panic!("{name} twice"));
    }

    #[test]
    fn filling_stops_at_the_first_error() {
        let mut asked = 0;
        let failed = fill(outer(&Device::flex()), |name, _| {
            asked += 1;
            Err::<Vec<f32>, _>(name.to_owned())
        });
        assert_eq!(failed.err().as_deref(), Some("conv_in.weight"));
        assert_eq!(asked, 1);
    }
}
