//! Conversations of a closed loop. Every slot is a user: it has one conversation after the other, and its next turn repeats
//! what was said so far.
//!
//! A conversation belongs to one part of the level, warm-up, measurement or cool-down, with all of its turns, so that
//! measured ones are whole; where fewer requests are left than it would have turns, it has these. Those of warm-up have from
//! one turn to all of theirs, one more from one to the next, or all users would be at the same turn for ever.

use std::time::Duration;

use records::{Offset, Stage, Turn};
use serde_json::{Value, json};

use super::{MEASURE, Place, Schedule};
use crate::workload::{Prompt, mix};

/// A conversation under way.
pub(in crate::driver) struct Conversation {
    key: u64,
    stage: Stage,
    /// How much of the whole length its answers have, if it is for cool-down.
    left: f64,
    /// Number of its first request, which is its name.
    session: Option<u64>,
    begun: u32,
    turns: u32,
    /// What was said so far.
    messages: Vec<Value>,
    question: String,
}

impl Conversation {
    /// Takes note of how a turn ended. A question without an answer is as if it had not been asked.
    pub(in crate::driver) fn heard(&mut self, completed: bool, answer: String) {
        let question = std::mem::take(&mut self.question);
        if completed {
            let said = [("user", question), ("assistant", answer)];
            let message = |(role, content)| json!({"role": role, "content": content});
            self.messages.extend(said.map(message));
        }
    }

    /// Whether a turn is left.
    pub(in crate::driver) fn goes_on(&self) -> bool {
        self.begun < self.turns
    }
}

impl Schedule {
    /// Begins the next conversation at `now`; none when nothing is left to send, or requests stand for themselves.
    pub(in crate::driver) fn begin(&self, now: Offset) -> Option<Conversation> {
        let conversations = self.plan.spec().work.conversations?;
        let mut counts = self.counts();
        self.close_early(&mut counts, now);
        if counts.is_measured() {
            return None;
        }
        let number = counts.conversations;
        counts.conversations += 1;
        let key = mix(self.prompt_key(number));
        let turns = conversations.turns(key);
        let wanted = if counts.promised < self.level.warmup_requests {
            1 + u32::try_from(number % u64::from(turns)).unwrap_or(0)
        } else {
            turns
        };
        let (stage, turns) = self.next_stage(&mut counts, now, wanted);
        if stage == Stage::Measured {
            counts.pace.taken(now);
        }
        Some(Conversation {
            key,
            stage,
            left: counts.pace.left(now),
            session: None,
            begun: 0,
            turns,
            messages: Vec::new(),
            question: String::new(),
        })
    }

    /// The next turn; none when it was the last, or the level needs no more.
    pub(in crate::driver) fn take_turn(&self, conversation: &mut Conversation) -> Option<Place> {
        if !conversation.goes_on() {
            return None;
        }
        let stage = conversation.stage;
        let number = {
            let mut counts = self.counts();
            if counts.is_measured() {
                return None;
            }
            counts.in_flight += 1;
            counts.issued += 1;
            counts.issued - 1
        };
        if stage == Stage::Measured {
            self.reach(MEASURE);
        }
        let request = self.position.first_request + number;
        let turn = Turn {
            session: *conversation.session.get_or_insert(request),
            number: conversation.begun,
            of: conversation.turns,
        };
        conversation.begun += 1;
        let (prompt, output_tokens) = self.ask(number, stage, turn.number, conversation.left);
        let Prompt::Text(question) = prompt else {
            // Refused by the plan.
            return None;
        };
        let mut messages = conversation.messages.clone();
        messages.push(json!({"role": "user", "content": question}));
        conversation.question = question;
        let prompt = Prompt::Messages(Value::Array(messages));
        Some(Place {
            request,
            stage,
            output_tokens,
            body: self.plan.template().body(&prompt, output_tokens),
            due: None,
            turn: Some(turn),
        })
    }

    /// How long the user thinks before the next turn.
    pub(in crate::driver) fn think(&self, conversation: &Conversation) -> Duration {
        let conversations = self.plan.spec().work.conversations;
        conversations.map_or(Duration::ZERO, |all| all.think(conversation.key, conversation.begun))
    }
}
