//! The embeddings API: an answer in one piece that holds vectors and no token.
//!
//! Follows OpenAI's API reference. Vectors are not kept: only whether there is one for the input.

use serde::{Deserialize, de::IgnoredAny};

use super::{
    chunk::{Bearing, Chunk, Event, Usage},
    message_of,
};

#[derive(Deserialize)]
struct Wire {
    data: Option<Vec<Item>>,
    usage: Option<Usage>,
    error: Option<serde_json::Value>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(rename = "embedding")]
    _embedding: IgnoredAny,
}

/// The answer: bearing where it has a vector, with the prompt's tokens.
pub(super) fn parse_whole(data: &[u8]) -> Result<Event, serde_json::Error> {
    let wire: Wire = serde_json::from_slice(data)?;
    if let Some(error) = &wire.error {
        return Ok(Event::Error(message_of(error)));
    }
    let Some(items) = wire.data else {
        return Ok(wire.message.map_or(Event::Empty, Event::Error));
    };
    let there = !items.is_empty();
    Ok(Event::Chunk(Chunk {
        bearing: Bearing { token: there, reasoning: false, output: there },
        finish_reason: None,
        usage: Some(Usage {
            // There is none, whatever a server may fill in here.
            completion_tokens: None,
            ..wire.usage.unwrap_or_default()
        }),
        times: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_there_or_not() {
        let answer = br#"{"object":"list","data":[{"object":"embedding","embedding":[0.0023,-0.0093],"index":0}],"model":"m","usage":{"prompt_tokens":8,"total_tokens":8}}"#;
        let Ok(Event::Chunk(chunk)) = parse_whole(answer) else { unreachable!() };
        assert!(chunk.bearing.token);
        let usage = chunk.usage.unwrap();
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (Some(8), None));
        // Base64, as `encoding_format` may ask for, is a vector too.
        let base64 = br#"{"data":[{"embedding":"AAAA","index":0}],"usage":{"prompt_tokens":1}}"#;
        assert!(matches!(parse_whole(base64), Ok(Event::Chunk(chunk)) if chunk.bearing.token));
        let none = br#"{"object":"list","data":[],"usage":{"prompt_tokens":8}}"#;
        assert!(matches!(parse_whole(none), Ok(Event::Chunk(chunk)) if !chunk.bearing.token));
        // As vLLM 0.11.2 answers for a model that generates.
        let refused = br#"{"error":{"message":"The model does not support Embeddings API","type":"BadRequestError","param":null,"code":400}}"#;
        assert_eq!(parse_whole(refused).unwrap(), Event::Error("The model does not support Embeddings API".to_owned()));
        assert!(parse_whole(br#"{"data":[{"index":0}]}"#).is_err());
    }
}
