//! Samples GPUs and the serving engine beside the load, on the same clock.
