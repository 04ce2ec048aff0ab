//! Flags of conversations, and of requests that failed.

use bench::settings::ConversationSettings;
use clap::Args;

use super::values;

/// Several turns in place of one.
#[derive(Clone, Debug, Args)]
pub(crate) struct SessionArgs {
    /// Conversations of so many turns: each slot of --concurrency is a user, and each turn's request repeats what was said
    /// before with the server's own answers. Lengths are those of a single turn, and --request-count counts turns
    #[arg(long, visible_aliases = ["session-turns-mean", "conversation-turn-mean"], value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=10_000), conflicts_with_all = ["request_rate", "ramp_up_strategy", "trace"])]
    pub(super) session_turns: Option<u32>,
    /// Standard deviation of --session-turns
    #[arg(
        long,
        visible_alias = "conversation-turn-stddev",
        value_name = "N",
        default_value_t = 0.0,
        value_parser = values::spread,
        requires = "session_turns"
    )]
    pub(super) session_turns_stddev: f64,
    /// Time between the end of an answer and the next turn of the conversation, in milliseconds
    #[arg(long, visible_aliases = ["session-turn-delay-mean", "conversation-turn-delay-mean"], value_name = "MS",
        default_value_t = 0, requires = "session_turns")]
    pub(super) think_time: u32,
    /// Standard deviation of --think-time, in milliseconds
    #[arg(long, visible_aliases = ["session-turn-delay-stddev", "conversation-turn-delay-stddev"], value_name = "MS",
        default_value_t = 0.0, value_parser = values::spread, requires = "session_turns")]
    pub(super) think_time_stddev: f64,
    /// Send a request that failed again, at most so often, after a pause of half a second that doubles each time. Every
    /// attempt is a record of its own and failures stay counted; what the server refuses for what it is (a status such
    /// as 400) is not sent again
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(super) retries: u32,
}

impl SessionArgs {
    /// The conversations that are asked for.
    pub(super) fn conversations(&self) -> Option<ConversationSettings> {
        Some(ConversationSettings {
            turns: self.session_turns?,
            turns_stddev: self.session_turns_stddev,
            think_ms: self.think_time,
            think_ms_stddev: self.think_time_stddev,
        })
    }
}
