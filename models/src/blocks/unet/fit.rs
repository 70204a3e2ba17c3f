//! Whether blocks can follow each other: what each takes must be what those before it leave.

use super::skip_down::PICTURE;
use super::{BlockKind, BlockSettings, DownBlock, KUpBlock, MidBlock, UpBlock};
use crate::network::{ConfigError, check};

/// Every block of a U-Net by its published name, from the input to the output.
pub(crate) struct Ladder<'a> {
    /// The way down.
    pub down: Vec<(&'a str, BlockSettings)>,
    /// The middle, if there is one.
    pub mid: Option<(&'a str, BlockSettings)>,
    /// The way up.
    pub up: Vec<(&'a str, BlockSettings)>,
    /// Groups of the normalisations that have none of their own.
    pub groups: Option<usize>,
    /// Channels of the network's input and output.
    pub picture: [usize; 2],
}

/// A state: its channels, and how often its size was halved.
type State = (usize, usize);

impl Ladder<'_> {
    /// Checks that every block can share its channels as it does, and follow those before it. diffusers builds networks
    /// whose blocks cannot, and fails when they run.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_groups()?;
        self.down.iter().try_for_each(|(name, settings)| DownBlock::check(settings, name))?;
        self.mid.iter().try_for_each(|(name, settings)| MidBlock::check(settings, name))?;
        self.up.iter().try_for_each(|(name, settings)| UpBlock::check(settings, name))?;
        let (state, skips) = self.walk_down()?;
        self.walk_up(state, skips)
    }

    /// The channels of the output, and of every block but those with groups of their own, are shared among the groups.
    fn check_groups(&self) -> Result<(), ConfigError> {
        let sharing = || self.down.iter().chain(&self.up).filter(|(_, block)| !block.kind.has_own_groups());
        let Some(groups) = self.groups else {
            let named = sharing().next().map(|(name, _)| name);
            return check(
                "norm_num_groups",
                named.is_none(),
                "null",
                format!("a number, for {}", named.unwrap_or(&"")),
            );
        };
        let output = self.down.first().map(|(_, block)| block.before);
        let blocks = sharing().chain(&self.mid).map(|(_, block)| block.channels);
        for channels in output.into_iter().chain(blocks) {
            let expected = format!("multiples of norm_num_groups, {groups}");
            check("block_out_channels", channels.is_multiple_of(groups), channels, expected)?;
        }
        Ok(())
    }

    /// The last state, and those that are left for the way up.
    fn walk_down(&self) -> Result<(State, Vec<Option<State>>), ConfigError> {
        let (mut level, mut of_picture) = (0, 0);
        let first = self.down.first().map_or(0, |(_, settings)| settings.before);
        let (mut channels, mut skips) = (first, vec![Some((first, 0))]);
        for (name, settings) in &self.down {
            let BlockSettings { kind, layers, resizes, .. } = *settings;
            channels = settings.channels;
            let leaves = kind != BlockKind::KCross || resizes;
            skips.extend((0..layers).map(|_| leaves.then_some((channels, level))));
            if resizes && kind.is_skip() {
                let expected = "only skip blocks before a skip block, which keep the picture in its size";
                check("down_block_types", of_picture == level, format_args!("{name:?} at {level}"), expected)?;
                let [input, _] = self.picture;
                check("in_channels", input == PICTURE, input, format!("{PICTURE} before {name}"))?;
                of_picture += 1;
            }
            level += usize::from(resizes);
            if resizes && !kind.is_k() {
                skips.push(Some((channels, level)));
            }
        }
        Ok(((channels, level), skips))
    }

    fn walk_up(&self, (mut channels, mut level): State, mut skips: Vec<Option<State>>) -> Result<(), ConfigError> {
        let mut of_picture = None;
        for (index, (name, settings)) in self.up.iter().enumerate() {
            let BlockSettings { kind, layers, resizes, .. } = *settings;
            let fits = if kind.is_k() {
                let rest = skips.len().saturating_sub(layers - 1);
                let skip = skips.drain(rest..).next_back();
                let joined = skip.map(|skip| skip.map_or(channels, |(skip, _)| channels + skip));
                let sized = skip.flatten().is_none_or(|(_, size)| size == level);
                sized && joined == Some(KUpBlock::input(settings))
            } else {
                settings.up_channels().all(|[state, skip, output]| {
                    let popped = skips.pop().flatten();
                    let fits = popped.is_some_and(|(found, size)| channels + found == state + skip && size == level);
                    channels = output;
                    fits
                })
            };
            let expected = "blocks whose channels and sizes are those that the blocks before them leave";
            check("up_block_types", fits, format_args!("{name:?} at {index}"), expected)?;
            channels = if kind.is_k() { settings.behind } else { settings.channels };
            if kind.is_skip() {
                of_picture = of_picture.map(|size: usize| size - 1);
            }
            let expected = "only skip blocks behind a skip block, which keep the picture in its size";
            let keeps = of_picture.is_none_or(|size| size == level && kind.is_skip());
            check("up_block_types", keeps, format_args!("{name:?} at {index}"), expected)?;
            if kind.is_skip() && resizes {
                of_picture = Some(level);
                let [_, output] = self.picture;
                check("out_channels", output == PICTURE, output, format!("{PICTURE} behind {name}"))?;
            }
            level -= usize::from(resizes);
        }
        Ok(())
    }
}
