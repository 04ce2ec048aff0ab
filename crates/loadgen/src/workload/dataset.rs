//! The user's own prompts: JSON Lines, `ShareGPT` and CSV.
//!
//! JSON Lines: one object a line with `prompt` (or `text`, `question`), or with `messages` as the chat API takes them, and
//! optionally `output_tokens` (or `max_tokens`). `ShareGPT`: a JSON list of `conversations`, of which the first human turn
//! is sent. CSV: a header line with a column `prompt`, optionally `output_tokens` (RFC 4180). This module reads no file.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::PlanError;

/// What is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompt {
    /// Text: the user's message of a chat, or the whole prompt of a completion.
    Text(String),
    /// The messages of a chat.
    Messages(Value),
}

/// A prompt and how long its answer is to be, where that was said.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What is sent.
    pub prompt: Prompt,
    /// Output tokens to ask for.
    pub output_tokens: Option<u32>,
}

/// Prompts of the user.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// What it is called in records: the file's name.
    pub name: String,
    /// The prompts, at least one.
    pub entries: Arc<[Entry]>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(alias = "text", alias = "question", alias = "input")]
    prompt: Option<String>,
    messages: Option<Value>,
    #[serde(alias = "max_tokens", alias = "output_len")]
    output_tokens: Option<u32>,
}

#[derive(Deserialize)]
struct Conversation {
    conversations: Vec<Turn>,
}

#[derive(Deserialize)]
struct Turn {
    from: String,
    value: String,
}

impl Dataset {
    /// Reads `text`; its form is recognised by its beginning.
    ///
    /// # Errors
    /// [`PlanError::BadDataset`] with the line that cannot be used.
    pub fn parse(name: &str, text: &str) -> Result<Self, PlanError> {
        let text = text.trim_start_matches('\u{feff}').trim();
        let entries = match text.as_bytes().first() {
            Some(b'[') => share_gpt(text),
            Some(b'{') => json_lines(text),
            _ => csv(text),
        };
        let entries = entries.map_err(|reason| PlanError::BadDataset { name: name.to_owned(), reason })?;
        if entries.is_empty() {
            let reason = "it holds no prompt".to_owned();
            return Err(PlanError::BadDataset { name: name.to_owned(), reason });
        }
        Ok(Self { name: name.to_owned(), entries: entries.into() })
    }

    /// Whether some prompts are chats, which the completions API does not take.
    pub fn has_messages(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry.prompt, Prompt::Messages(_)))
    }
}

fn json_lines(text: &str) -> Result<Vec<Entry>, String> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let line: Line = serde_json::from_str(line).map_err(|e| format!("line {number}: {e}"))?;
            let prompt = match (line.prompt, line.messages) {
                (Some(text), None) => Prompt::Text(text),
                (None, Some(messages @ Value::Array(_))) => Prompt::Messages(messages),
                _ => {
                    return Err(format!("line {number}: it needs either `prompt` or a list of `messages`"));
                }
            };
            Ok(Entry { prompt, output_tokens: line.output_tokens })
        })
        .collect()
}

fn share_gpt(text: &str) -> Result<Vec<Entry>, String> {
    let conversations: Vec<Conversation> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let first_of_human = |conversation: Conversation| {
        let mut turns = conversation.conversations.into_iter();
        turns.find(|turn| turn.from == "human" || turn.from == "user").map(|turn| turn.value)
    };
    let prompts = conversations.into_iter().filter_map(first_of_human);
    let prompts = prompts.filter(|prompt| !prompt.trim().is_empty());
    Ok(prompts.map(|text| Entry { prompt: Prompt::Text(text), output_tokens: None }).collect())
}

fn csv(text: &str) -> Result<Vec<Entry>, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let columns = reader.headers().map_err(|e| e.to_string())?.clone();
    let column = |name: &str| columns.iter().position(|c| c.trim().eq_ignore_ascii_case(name));
    let prompt = column("prompt").or(column("text")).ok_or("its first line names no column `prompt`")?;
    let output_tokens = column("output_tokens");
    reader
        .records()
        .map(|record| {
            let record = record.map_err(|e| e.to_string())?;
            let text = record.get(prompt).unwrap_or_default();
            let count = output_tokens.and_then(|c| record.get(c)).map(str::trim).filter(|c| !c.is_empty());
            let count = count.map(|c| c.parse().map_err(|e| format!("output_tokens {c:?}: {e}")));
            Ok(Entry { prompt: Prompt::Text(text.to_owned()), output_tokens: count.transpose()? })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(dataset: &Dataset) -> Vec<(String, Option<u32>)> {
        let text = |entry: &Entry| match &entry.prompt {
            Prompt::Text(text) => (text.clone(), entry.output_tokens),
            Prompt::Messages(messages) => (messages.to_string(), entry.output_tokens),
        };
        dataset.entries.iter().map(text).collect()
    }

    #[test]
    fn every_form_is_recognised_by_its_beginning() {
        let lines =
            "{\"prompt\":\"안녕\",\"output_tokens\":7}\n\n{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}\n";
        let dataset = Dataset::parse("own.jsonl", lines).unwrap();
        let chat = r#"[{"content":"hi","role":"user"}]"#.to_owned();
        assert_eq!(texts(&dataset), [("안녕".to_owned(), Some(7)), (chat, None)]);
        assert!(dataset.has_messages());

        let share_gpt = r#"[{"id":"1","conversations":[{"from":"system","value":"s"},{"from":"human","value":"a"},{"from":"gpt","value":"b"}]},{"conversations":[]}]"#;
        assert_eq!(texts(&Dataset::parse("s.json", share_gpt).unwrap()), [("a".to_owned(), None)]);

        let csv = "\u{feff}id,prompt,output_tokens\n1,\"two\nlines, \"\"quoted\"\"\",5\n2,plain,\n";
        let expected = [("two\nlines, \"quoted\"".to_owned(), Some(5)), ("plain".to_owned(), None)];
        assert_eq!(texts(&Dataset::parse("p.csv", csv).unwrap()), expected);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        for (text, reason) in [
            ("", "its first line names no column"),
            ("[]", "no prompt"),
            ("{\"prompt\":\"a\"}\n{\"prompt\":5}", "line 2"),
            ("{\"messages\":\"a\"}", "line 1"),
            ("id,question mark\n1,2\n", "no column `prompt`"),
            ("prompt,output_tokens\na,many\n", "many"),
        ] {
            let error = Dataset::parse("file", text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
