//! What an adoption is asked for.

/// Options of `transform adopt`.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Arguments {
    /// Prefix of the installation to go on from, on the same cluster. It must have ended.
    #[arg(long, value_name = "PREFIX")]
    pub from: String,
}
