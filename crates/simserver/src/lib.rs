//! A stand-in for vLLM: a pure continuous-batching step engine under a thin HTTP shell.
