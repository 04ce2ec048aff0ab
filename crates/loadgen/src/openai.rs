//! The part of the OpenAI chat and completions APIs that a load client speaks: request bodies and streamed chunks.
//!
//! Follows the API reference of OpenAI and what vLLM 0.11.2 and llama.cpp b10434 send (`fixtures/sse`). No text is kept:
//! of a token, only whether it is there.

mod alike;
mod body;
mod chunk;

pub use alike::EventReader;
pub use body::{BodyTemplate, Endpoint, LengthControl};
pub use chunk::{Bearing, Chunk, Event, ServerTimes, Usage, error_message, parse_event};
