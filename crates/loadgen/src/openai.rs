//! The part of the OpenAI APIs (chat, completions, responses, embeddings) that a load client speaks: request bodies and streamed chunks.
//!
//! Follows the API reference of OpenAI and what vLLM 0.11.2 and llama.cpp b10434 send (`fixtures/sse`). No text is kept:
//! of a token, only whether it is there; a conversation alone keeps what the
//! assistant said, because its next turn repeats it.

mod answer;
mod body;
mod chunk;
mod embeddings;
mod event_reader;
mod responses;

pub use body::{BodyTemplate, Endpoint, LengthControl};
pub use chunk::{Bearing, Chunk, Event, ServerTimes, Usage, error_message, parse_event};
pub use event_reader::EventReader;
pub use responses::parse_response_event;

use chunk::message_of;
