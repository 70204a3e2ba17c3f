use burn::tensor::ops::ConvOptions;

/// The sizes of one convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub batch: usize,
    pub channels_in: usize,
    pub channels_out: usize,
    /// Height and width.
    pub input: [usize; 2],
    /// Height and width.
    pub output: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    /// Rows above, columns to the left.
    pub padding: [usize; 2],
}

impl Geometry {
    /// # Panics
    ///
    /// If the kernel does not fit into the padded input.
    pub fn new(input: [usize; 4], weight: [usize; 4], options: &ConvOptions<2>) -> Self {
        let [batch, channels_in, height, width] = input;
        let [channels_out, _, kernel_height, kernel_width] = weight;
        let (kernel, stride) = ([kernel_height, kernel_width], options.stride);
        let output = [0, 1].map(|axis| {
            let (before, after) = options.padding[axis];
            let padded = [height, width][axis] + before + after;
            assert!(kernel[axis] <= padded, "a convolution of {input:?} with weights of {weight:?}");
            (padded - kernel[axis]) / stride[axis] + 1
        });
        let padding = options.padding.map(|(before, _)| before);
        Self { batch, channels_in, channels_out, input: [height, width], output, kernel, stride, padding }
    }

    /// The convolution that carries gradients of the output back to the input, of stride one only: kernels turned by
    /// 180°, channels exchanged.
    ///
    /// `None` where the padding is wider than the kernel.
    pub fn reversed(&self) -> Option<Self> {
        let [row, column] = [0, 1].map(|axis| (self.kernel[axis] - 1).checked_sub(self.padding[axis]));
        (self.stride == [1, 1]).then_some(Self {
            channels_in: self.channels_out,
            channels_out: self.channels_in,
            input: self.output,
            output: self.input,
            padding: [row?, column?],
            ..*self
        })
    }

    /// Whether every output sees the one input at its place: nothing needs to be gathered.
    pub fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.input == self.output && self.padding == [0, 0]
    }

    pub fn input_plane(&self) -> usize {
        self.input[0] * self.input[1]
    }

    pub fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }

    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// How many input values make one output value.
    pub fn depth(&self) -> usize {
        self.channels_in * self.taps()
    }

    /// How many output positions are gathered at a time over `depth` values each: a multiple of the vector width, small
    /// enough for a core's second-level cache.
    pub fn tile(depth: usize) -> usize {
        const CACHED: usize = 160 * 1024;
        (CACHED / depth / 16 * 16).clamp(64, 512)
    }
}
