//! The command line: one file a command, each a clap struct and a `run` that calls the library.

mod defect;
mod doctor;
mod encode;
mod evaluate;
mod failure;
mod generate;
mod global;
mod musicgen;
mod output;
mod prepare;
mod quickstart;
mod train;
mod train_vae;
mod train_vocoder;
mod values;
mod vocode;

pub use failure::{Failure, Outcome};
pub use global::Global;
pub use output::Output;

use clap::{Parser, Subcommand};
use std::ffi::OsString;

/// A folder of recordings in, new music out.
#[derive(Debug, Parser)]
#[command(
    name = "nocturne",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    args_override_self = true
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make music, learn it, make new music, and show it, in minutes
    Quickstart(quickstart::Flags),
    /// Turn a folder of recordings into a mel dataset
    Prepare(Box<prepare::Prepare>),
    /// Captions to encodings, datasets to latents
    Encode(encode::Encode),
    /// Train a network on a mel dataset
    Train(train::Train),
    /// Make new mels, pictures and audio with a trained model
    Generate(Box<generate::Generate>),
    /// Turn mels into audio
    Vocode(vocode::Vocode),
    /// Make music from captions with MusicGen
    Musicgen(musicgen::Musicgen),
    /// Score music against other music
    Evaluate(Box<evaluate::Evaluate>),
    /// What devices, codecs and vocoders this machine has
    Doctor(doctor::Doctor),
}

/// Runs the command line; the result says how the process ends.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Outcome {
    let cli = match Cli::try_parse_from(arguments.into_iter().map(kebab)) {
        Ok(cli) => cli,
        Err(error) => {
            let help = !error.use_stderr();
            // Printing can only fail when nobody reads.
            let _ = error.print();
            return if help { Outcome::Done } else { Outcome::Usage };
        }
    };
    let output = Output::new(&cli.global);
    let result = defect::guarded(|| match cli.command {
        Command::Quickstart(command) => command.run(&cli.global, &output),
        Command::Prepare(command) => command.run(&cli.global, &output),
        Command::Encode(command) => command.run(&cli.global, &output),
        Command::Train(command) => command.run(&cli.global, &output),
        Command::Generate(command) => command.run(&cli.global, &output),
        Command::Vocode(command) => command.run(&cli.global, &output),
        Command::Musicgen(command) => command.run(&cli.global, &output),
        Command::Evaluate(command) => command.run(&cli.global, &output),
        Command::Doctor(command) => command.run(&cli.global, &output),
    });
    result.unwrap_or_else(|failure| {
        output.failure(&failure);
        failure.outcome()
    })
}

/// Published scripts of this field write `--hop_length`; ours are kebab-case. Both are accepted.
fn kebab(argument: OsString) -> OsString {
    match argument.to_str() {
        Some(text) if text.starts_with("--") => {
            let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
            let name = name.replace('_', "-");
            value.map_or_else(|| name.clone(), |value| format!("{name}={value}")).into()
        }
        _ => argument,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_declaration_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn underscores_in_names_become_dashes_and_values_stay() {
        assert_eq!(kebab("--hop_length=a_b".into()), "--hop-length=a_b");
        assert_eq!(kebab("--hop_length".into()), "--hop-length");
        assert_eq!(kebab("my_file".into()), "my_file");
    }
}
