use burn::tensor::Tensor;

/// What is done with every one of some tensors.
pub trait Change {
    /// The tensor in the place of `tensor`.
    fn change<const D: usize>(&mut self, tensor: Tensor<D>) -> Tensor<D>;
}

/// Tensors that go into a block, whatever holds them.
pub trait Tensors: Clone + Send + 'static {
    /// Changes every tensor, always in the same order.
    #[must_use]
    fn changed(self, by: &mut impl Change) -> Self;
}

impl Tensors for () {
    fn changed(self, _: &mut impl Change) -> Self {}
}

impl<const D: usize> Tensors for Tensor<D> {
    fn changed(self, by: &mut impl Change) -> Self {
        by.change(self)
    }
}

impl<T: Tensors> Tensors for Option<T> {
    fn changed(self, by: &mut impl Change) -> Self {
        Some(self?.changed(by))
    }
}

impl<T: Tensors, const N: usize> Tensors for [T; N] {
    fn changed(self, by: &mut impl Change) -> Self {
        self.map(|tensors| tensors.changed(by))
    }
}

impl<A: Tensors, B: Tensors> Tensors for (A, B) {
    fn changed(self, by: &mut impl Change) -> Self {
        (self.0.changed(by), self.1.changed(by))
    }
}

impl<A: Tensors, B: Tensors, C: Tensors> Tensors for (A, B, C) {
    fn changed(self, by: &mut impl Change) -> Self {
        (self.0.changed(by), self.1.changed(by), self.2.changed(by))
    }
}
