//! What can be typed about conversations, and about requests that failed.

use clap::Args;
use loadgen::workload::{Conversations, Lengths};

use crate::exit::{self, Exit};

/// Several turns in place of one.
#[derive(Clone, Debug, Args)]
pub(crate) struct SessionArgs {
    /// Conversations of so many turns: each slot of --concurrency is a user, and each turn's request repeats what was said
    /// before with the server's own answers. Lengths are those of a single turn, and --request-count counts turns
    #[arg(long, visible_aliases = ["session-turns-mean", "conversation-turn-mean"], value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=10_000), conflicts_with_all = ["request_rate", "ramp_up_strategy", "trace"])]
    pub(crate) session_turns: Option<u32>,
    /// Standard deviation of --session-turns
    #[arg(
        long,
        visible_alias = "conversation-turn-stddev",
        value_name = "N",
        default_value_t = 0.0,
        requires = "session_turns"
    )]
    pub(crate) session_turns_stddev: f64,
    /// Time between the end of an answer and the next turn of the conversation, in milliseconds
    #[arg(long, visible_aliases = ["session-turn-delay-mean", "conversation-turn-delay-mean"], value_name = "MS",
        default_value_t = 0, requires = "session_turns")]
    pub(crate) think_time: u32,
    /// Standard deviation of --think-time, in milliseconds
    #[arg(long, visible_aliases = ["session-turn-delay-stddev", "conversation-turn-delay-stddev"], value_name = "MS",
        default_value_t = 0.0, requires = "session_turns")]
    pub(crate) think_time_stddev: f64,
    /// Send a request that failed again, at most so often, after a pause of half a second that doubles each time. Every
    /// attempt is a record of its own and failures stay counted; what the server refuses for what it is (a status such
    /// as 400) is not sent again
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) retries: u32,
}

impl SessionArgs {
    /// The conversations that are asked for.
    pub(crate) fn conversations(&self) -> anyhow::Result<Option<Conversations>> {
        for (flag, spread) in
            [("--session-turns-stddev", self.session_turns_stddev), ("--think-time-stddev", self.think_time_stddev)]
        {
            if !(spread.is_finite() && spread >= 0.0) {
                let message = format!("{flag} is no standard deviation\nhint: 0 or more");
                return Err(exit::error(Exit::Usage, message));
            }
        }
        Ok(self.session_turns.map(|mean| Conversations {
            turns: Lengths { mean, stddev: self.session_turns_stddev },
            think_ms: Lengths { mean: self.think_time, stddev: self.think_time_stddev },
        }))
    }

    /// Requests of a conversation, on average.
    pub(crate) fn turns(&self) -> u64 {
        self.session_turns.unwrap_or(1).into()
    }
}
