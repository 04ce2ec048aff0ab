//! A server's flags from its command line, as `vllm serve` takes them.

use std::str::FromStr;

use super::flags::{StateCache, UnknownKvDtype};
use super::serve_args::{Drafter, ServeArgs, SpeculativeArgs};
use crate::Tokens;
use crate::model::StateDtype;

/// Why a command line is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandLineError {
    /// A flag's value is not what it takes.
    #[error("cannot parse {flag} \"{value}\": expected {expected}\nhint: give it as `vllm serve` takes it")]
    Value {
        /// The flag.
        flag: String,
        /// What was given.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
    /// A flag has no value.
    #[error("{flag} has no value\nhint: write it as {flag} VALUE or {flag}=VALUE")]
    NoValue {
        /// The flag.
        flag: String,
    },
    /// A KV cache type whose size is not known.
    #[error(transparent)]
    KvDtype(#[from] UnknownKvDtype),
}

/// Flags from `vllm serve`'s own command line, such as `--tensor-parallel-size 2 --max-model-len 32k`. A model's name or
/// other words before the first flag are passed over.
///
/// ```
/// use sizing::Tokens;
/// use sizing::engine::ServeArgs;
///
/// let args: ServeArgs = "vllm serve google/gemma-3-12b-it -tp 2 --max-model-len=32K --port 8000".parse()?;
/// assert_eq!((args.tensor_parallel_size, args.max_model_len), (Some(2), Some(Tokens::new(32_768))));
/// assert_eq!(args.unread, ["--port"]);
/// # Ok::<(), sizing::engine::CommandLineError>(())
/// ```
impl FromStr for ServeArgs {
    type Err = CommandLineError;

    fn from_str(line: &str) -> Result<Self, CommandLineError> {
        let words = words(line);
        let mut words = words.iter().map(String::as_str).peekable();
        let mut args = Self::default();
        while let Some(word) = words.next() {
            if !word.starts_with('-') {
                continue;
            }
            let (flag, joined) = match word.split_once('=') {
                Some((flag, value)) => (flag, Some(value)),
                None => (word, None),
            };
            if args.switch(flag) {
                continue;
            }
            let next = joined.or_else(|| words.next_if(|next| !next.starts_with("--")));
            match next {
                Some(value) => {
                    if !args.set(flag, value)? {
                        args.unread.push(flag.to_owned());
                    }
                }
                None if VALUED.contains(&flag) => return Err(CommandLineError::NoValue { flag: flag.to_owned() }),
                None => args.unread.push(flag.to_owned()),
            }
        }
        Ok(args)
    }
}

/// Flags that are read and take a value.
const VALUED: [&str; 16] = [
    "--max-model-len",
    "--max-num-batched-tokens",
    "--max-num-seqs",
    "--tensor-parallel-size",
    "-tp",
    "--pipeline-parallel-size",
    "-pp",
    "--decode-context-parallel-size",
    "-dcp",
    "--kv-cache-dtype",
    "--block-size",
    "--mamba-cache-mode",
    "--mamba-ssm-cache-dtype",
    "--gpu-memory-utilization",
    "--speculative-config",
    "-sc",
];

impl ServeArgs {
    /// Sets a flag without a value; whether it was one.
    fn switch(&mut self, flag: &str) -> bool {
        match flag {
            "--enable-prefix-caching" => self.enable_prefix_caching = Some(true),
            "--no-enable-prefix-caching" => self.enable_prefix_caching = Some(false),
            "--disable-hybrid-kv-cache-manager" => self.disable_hybrid_kv_cache_manager = true,
            "--no-disable-hybrid-kv-cache-manager" => self.disable_hybrid_kv_cache_manager = false,
            "--async-scheduling" => self.async_scheduling = Some(true),
            "--no-async-scheduling" => self.async_scheduling = Some(false),
            "--enforce-eager" => self.enforce_eager = true,
            _ => return false,
        }
        true
    }

    /// Sets a flag to its value; whether it is one that counts.
    fn set(&mut self, flag: &str, value: &str) -> Result<bool, CommandLineError> {
        let unfit = |expected| CommandLineError::Value { flag: flag.to_owned(), value: value.to_owned(), expected };
        let tokens = || value.parse::<Tokens>().map(Some).map_err(|_| unfit("a number of tokens, such as 4096 or 32K"));
        let number = || match value.parse::<u64>() {
            Ok(number) if number > 0 => Ok(Some(number)),
            _ => Err(unfit("a whole number of at least 1")),
        };
        match flag {
            "--max-model-len" => self.max_model_len = tokens()?,
            "--max-num-batched-tokens" => self.max_num_batched_tokens = tokens()?,
            "--block-size" => self.block_size = tokens()?,
            "--max-num-seqs" => self.max_num_seqs = number()?,
            "--tensor-parallel-size" | "-tp" => self.tensor_parallel_size = number()?,
            "--pipeline-parallel-size" | "-pp" => self.pipeline_parallel_size = number()?,
            "--decode-context-parallel-size" | "-dcp" => self.decode_context_parallel_size = number()?,
            "--kv-cache-dtype" => {
                self.kv_cache_dtype = if value == "auto" { None } else { Some(value.parse()?) };
            }
            "--mamba-cache-mode" => {
                self.mamba_cache_mode = match value {
                    "auto" => None,
                    "none" => Some(StateCache::None),
                    "align" => Some(StateCache::Align),
                    "all" => Some(StateCache::All),
                    _ => return Err(unfit("none, align or all")),
                };
            }
            "--mamba-ssm-cache-dtype" => {
                self.mamba_ssm_cache_dtype = match value {
                    "auto" => None,
                    "float32" => Some(StateDtype::Float32),
                    "float16" | "bfloat16" => Some(StateDtype::Bits16),
                    _ => return Err(unfit("auto, float32, float16 or bfloat16")),
                };
            }
            "--gpu-memory-utilization" => {
                let share = value.parse::<f64>().ok().filter(|share| *share > 0.0 && *share <= 1.0);
                self.gpu_memory_utilization = Some(share.ok_or_else(|| unfit("a share above 0 and up to 1"))?);
            }
            "--speculative-config" | "-sc" => {
                let drafts = speculative(value).ok_or_else(|| unfit("JSON with a method and num_speculative_tokens"));
                self.speculative = Some(drafts?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn speculative(json: &str) -> Option<SpeculativeArgs> {
    let config: serde_json::Value = serde_json::from_str(json).ok()?;
    let tokens = config.get("num_speculative_tokens")?.as_u64()?;
    let method = match config.get("method").and_then(serde_json::Value::as_str) {
        None => None,
        Some("ngram") => Some(Drafter::Ngram),
        Some("eagle") => Some(Drafter::Eagle),
        Some(name) if name.ends_with("mtp") => Some(Drafter::Mtp),
        Some(_) => return None,
    };
    Some(SpeculativeArgs { method, tokens })
}

/// Words as a shell cuts them, with quotes of either kind taken off; a backslash before a line's end joins lines.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.replace("\\\n", " ").chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, _) if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
