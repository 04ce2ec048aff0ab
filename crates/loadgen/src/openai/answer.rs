//! What each API answers, read alike: events of a stream, an answer in one piece, and the words of the assistant where a
//! conversation goes on with them.

use serde::Deserialize;

use super::{
    Endpoint,
    chunk::{Event, parse_event},
    embeddings, responses,
};

impl Endpoint {
    /// Reads an answer in one piece. [`Event::Empty`] when it is an object, but no answer.
    ///
    /// # Errors
    /// When it has not the shape that the API gives it.
    pub fn read_whole(self, data: &[u8]) -> Result<Event, serde_json::Error> {
        match self {
            Self::Responses => responses::parse_whole(data),
            Self::Embeddings => embeddings::parse_whole(data),
            Self::Chat | Self::Completions => parse_event(data),
        }
    }

    /// Appends what the assistant said in the data of one event to `text`.
    pub(crate) fn text_of_event(self, data: &[u8], text: &mut String) {
        match self {
            Self::Responses => responses::text_of_event(data, text),
            _ => text_of_choices(data, text),
        }
    }

    /// What the assistant said in an answer in one piece.
    pub(crate) fn text_of_whole(self, data: &[u8]) -> String {
        let mut text = String::new();
        match self {
            Self::Responses => responses::text_of_whole(data, &mut text),
            _ => text_of_choices(data, &mut text),
        }
        text
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wire {
    choices: Vec<Choice>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Choice {
    delta: Option<Said>,
    message: Option<Said>,
    text: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Said {
    content: Option<String>,
}

fn text_of_choices(data: &[u8], text: &mut String) {
    let Ok(wire) = serde_json::from_slice::<Wire>(data) else {
        return;
    };
    // Of several answers to one question, a conversation goes on with the first.
    let Some(choice) = wire.choices.into_iter().next() else {
        return;
    };
    let said = choice.delta.or(choice.message).and_then(|said| said.content);
    text.push_str(&said.or(choice.text).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_assistant_and_not_its_thoughts() {
        let said = |endpoint: Endpoint, whole: bool, data: &str| {
            let mut text = "…".to_owned();
            if whole {
                text += &endpoint.text_of_whole(data.as_bytes());
            } else {
                endpoint.text_of_event(data.as_bytes(), &mut text);
            }
            text
        };
        let chat = Endpoint::Chat;
        assert_eq!(said(chat, false, r#"{"choices":[{"delta":{"content":"안녕"}}]}"#), "…안녕");
        assert_eq!(said(chat, false, r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#), "…");
        assert_eq!(said(chat, false, r#"{"choices":[],"usage":{}}"#), "…");
        assert_eq!(said(chat, false, "[DONE]"), "…");
        let whole = r#"{"choices":[{"message":{"role":"assistant","content":"a\nb"}}]}"#;
        assert_eq!(said(chat, true, whole), "…a\nb");
        let responses = Endpoint::Responses;
        assert_eq!(said(responses, false, r#"{"type":"response.output_text.delta","delta":"hi"}"#), "…hi");
        assert_eq!(said(responses, false, r#"{"type":"response.reasoning_text.delta","delta":"hm"}"#), "…");
        let whole = r#"{"object":"response","output":[{"type":"reasoning","content":[{"type":"reasoning_text","text":"hm"}]},{"type":"message","content":[{"type":"output_text","text":"hi"}]}]}"#;
        assert_eq!(said(responses, true, whole), "…hi");
    }
}
