/// What a block is made of beside residual blocks, down, in the middle and up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockKind {
    /// `DownBlock2D`, `UNetMidBlock2D`, `UpBlock2D`: nothing.
    Plain,
    /// `AttnDownBlock2D`, `AttnUpBlock2D`: self-attention.
    SelfAttention,
    /// `CrossAttnDownBlock2D`, `UNetMidBlock2DCrossAttn`, `CrossAttnUpBlock2D`: transformers.
    CrossAttention,
    /// `ResnetDownsampleBlock2D`, `ResnetUpsampleBlock2D`: nothing; the size is changed by a residual block.
    Resnet,
    /// `SimpleCrossAttnDownBlock2D`, `UNetMidBlock2DSimpleCrossAttn`, `SimpleCrossAttnUpBlock2D`: one attention to
    /// context and sample; the size is changed by a residual block.
    Simple,
}

impl BlockKind {
    pub const DOWN: [&str; 5] = [
        "DownBlock2D",
        "AttnDownBlock2D",
        "CrossAttnDownBlock2D",
        "ResnetDownsampleBlock2D",
        "SimpleCrossAttnDownBlock2D",
    ];
    pub const MID: [&str; 3] = ["UNetMidBlock2DCrossAttn", "UNetMidBlock2D", "UNetMidBlock2DSimpleCrossAttn"];
    pub const UP: [&str; 5] =
        ["UpBlock2D", "AttnUpBlock2D", "CrossAttnUpBlock2D", "ResnetUpsampleBlock2D", "SimpleCrossAttnUpBlock2D"];

    /// The kind of a block of these names.
    pub fn of(name: &str) -> Self {
        let name = name.strip_prefix("UNetMidBlock2D").unwrap_or(name);
        if name.starts_with("SimpleCrossAttn") {
            Self::Simple
        } else if name.starts_with("CrossAttn") {
            Self::CrossAttention
        } else if name.starts_with("Attn") {
            Self::SelfAttention
        } else if name.starts_with("Resnet") {
            Self::Resnet
        } else {
            Self::Plain
        }
    }

    /// Whether there is attention to the context.
    pub fn knows_context(self) -> bool {
        matches!(self, Self::CrossAttention | Self::Simple)
    }

    /// Whether `attention_head_dim` gives the channels of a head, as it says, and not the number of heads.
    pub fn takes_head_width(self) -> bool {
        matches!(self, Self::SelfAttention | Self::Simple)
    }

    /// Whether residual blocks change the size.
    pub fn resizes_by_resnet(self) -> bool {
        matches!(self, Self::Resnet | Self::Simple)
    }
}
