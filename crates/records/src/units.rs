//! Binary units of memory.

/// Bytes of a mebibyte (1,048,576).
pub const MIB: u64 = 1 << 20;
/// Bytes of a gibibyte (1,073,741,824).
pub const GIB: u64 = 1 << 30;
