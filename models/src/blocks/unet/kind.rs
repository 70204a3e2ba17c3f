use crate::network::{ConfigError, check};

/// What a block is made of, down, in the middle and up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockKind {
    /// Residual blocks.
    Plain,
    /// The same with self-attention.
    SelfAttention,
    /// The same with transformers.
    CrossAttention,
    /// Residual blocks; one of them changes the size.
    Resnet,
    /// The same with one attention to context and sample.
    Simple,
    /// Residual blocks whose normalisations know the time; a blur changes the size.
    K,
    /// The same with attention to the context.
    KCross,
    /// Residual blocks, and the picture itself in every size beside them.
    Skip,
    /// The same with self-attention.
    SkipAttention,
}

/// Every kind by its published names down and up.
const NAMES: [(BlockKind, [&str; 2]); 9] = [
    (BlockKind::Plain, ["DownBlock2D", "UpBlock2D"]),
    (BlockKind::SelfAttention, ["AttnDownBlock2D", "AttnUpBlock2D"]),
    (BlockKind::CrossAttention, ["CrossAttnDownBlock2D", "CrossAttnUpBlock2D"]),
    (BlockKind::Resnet, ["ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D"]),
    (BlockKind::Simple, ["SimpleCrossAttnDownBlock2D", "SimpleCrossAttnUpBlock2D"]),
    (BlockKind::K, ["KDownBlock2D", "KUpBlock2D"]),
    (BlockKind::KCross, ["KCrossAttnDownBlock2D", "KCrossAttnUpBlock2D"]),
    (BlockKind::Skip, ["SkipDownBlock2D", "SkipUpBlock2D"]),
    (BlockKind::SkipAttention, ["AttnSkipDownBlock2D", "AttnSkipUpBlock2D"]),
];

/// Those that are in the middle.
const MIDDLES: [(BlockKind, &str); 3] = [
    (BlockKind::CrossAttention, "UNetMidBlock2DCrossAttn"),
    (BlockKind::Plain, "UNetMidBlock2D"),
    (BlockKind::Simple, "UNetMidBlock2DSimpleCrossAttn"),
];

/// Blocks of autoencoders, which the factories of diffusers' U-Nets know too.
const AUTOENCODERS: [&str; 4] =
    ["DownEncoderBlock2D", "AttnDownEncoderBlock2D", "UpDecoderBlock2D", "AttnUpDecoderBlock2D"];

impl BlockKind {
    /// The kind of a block of this name; [`BlockKind::Plain`] of one that no block has.
    pub fn of(name: &str) -> Self {
        let named = NAMES.iter().find(|(_, names)| names.contains(&name)).map(|(kind, _)| *kind);
        let middle = || MIDDLES.iter().find(|(_, middle)| *middle == name).map(|(kind, _)| *kind);
        named.or_else(middle).unwrap_or(Self::Plain)
    }

    /// Checks the names of the blocks down and up: they are to be of these `kinds`, all that `network` can be run with.
    pub fn check_names(kinds: &[Self], network: &str, down: &[String], up: &[String]) -> Result<(), ConfigError> {
        for (side, (field, found)) in [("down_block_types", down), ("up_block_types", up)].into_iter().enumerate() {
            let named = NAMES.iter().filter(|(kind, _)| kinds.contains(kind));
            let known: Vec<&str> = named.map(|(_, names)| names[side]).collect();
            for name in found {
                let published = AUTOENCODERS.contains(&&**name) || NAMES.iter().any(|(_, names)| names[side] == name);
                let found = if published {
                    format!("{name:?}, which diffusers' own {network} cannot be run with")
                } else {
                    format!("{name:?}")
                };
                check(field, known.contains(&&**name), found, known.join(" or "))?;
            }
        }
        Ok(())
    }

    /// The names of the blocks in the middle.
    pub fn middles() -> [&'static str; 3] {
        MIDDLES.map(|(_, name)| name)
    }

    /// Whether there is attention to the context.
    pub fn knows_context(self) -> bool {
        matches!(self, Self::CrossAttention | Self::Simple | Self::KCross)
    }

    /// Whether `attention_head_dim` gives the channels of a head, as it says, and not the number of heads.
    pub fn takes_head_width(self) -> bool {
        matches!(self, Self::SelfAttention | Self::Simple | Self::KCross | Self::SkipAttention)
    }

    /// Whether residual blocks change the size, and are of another scale.
    pub fn resizes_by_resnet(self) -> bool {
        matches!(self, Self::Resnet | Self::Simple)
    }

    /// Whether it is a K block.
    pub fn is_k(self) -> bool {
        matches!(self, Self::K | Self::KCross)
    }

    /// Whether it is a skip block.
    pub fn is_skip(self) -> bool {
        matches!(self, Self::Skip | Self::SkipAttention)
    }

    /// Whether its normalisations have their own numbers of groups.
    pub fn has_own_groups(self) -> bool {
        self.is_k() || self.is_skip()
    }

    /// Whether an up block of this kind comes to the size of the next skip, instead of twice its own.
    pub fn fits_any_size(self) -> bool {
        matches!(self, Self::Plain | Self::CrossAttention)
    }
}
