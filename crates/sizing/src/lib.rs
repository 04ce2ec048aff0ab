//! Given a model, a GPU and an engine: how much memory, how many tokens of KV cache, how many requests, how much money.
