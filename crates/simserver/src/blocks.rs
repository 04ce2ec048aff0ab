//! The paged KV cache as a count of blocks: who holds how many, and whether more can be had.
//!
//! After `PagedAttention` (Kwon et al., SOSP 2023) and vLLM's block pool: blocks are handed out as a sequence grows and come back
//! when it ends; block 0 is never handed out. Blocks have no identity here, so there is no prefix cache, and blocks outside
//! a sliding window are not given back: a long context of such a model holds more than it would in vLLM.

use crate::profile::KvCache;

/// The pool of one engine.
#[derive(Debug)]
pub(crate) struct BlockPool {
    layout: KvCache,
    free: u32,
}

/// Blocks held by one sequence.
#[derive(Debug, Default)]
pub(crate) struct BlockTable {
    held: u32,
}

impl BlockPool {
    pub(crate) fn new(layout: KvCache) -> Self {
        Self {
            layout,
            free: layout.usable_blocks(),
        }
    }

    /// Makes `table` hold the KV of `tokens` tokens; false, and nothing changed, when the pool has too few blocks.
    pub(crate) fn grow(&mut self, table: &mut BlockTable, tokens: u32) -> bool {
        let needed = self.layout.blocks_for(tokens);
        let missing = needed.saturating_sub(u64::from(table.held));
        match u32::try_from(missing) {
            Ok(missing) if missing <= self.free => {
                self.free -= missing;
                table.held += missing;
                true
            }
            _ => false,
        }
    }

    /// Takes back all that `table` holds.
    pub(crate) fn release(&mut self, table: &mut BlockTable) {
        self.free += table.held;
        table.held = 0;
    }

    /// Share of the pool in use, 0 to 1, as `vllm:kv_cache_usage_perc` gives it.
    pub(crate) fn usage(&self) -> f64 {
        let usable = self.layout.usable_blocks();
        f64::from(usable - self.free) / f64::from(usable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_taken_in_every_group_and_come_back() {
        let mut pool = BlockPool::new(KvCache {
            block_size: 16,
            num_gpu_blocks: 13,
            groups: 3,
        });
        let (mut a, mut b) = (BlockTable::default(), BlockTable::default());
        assert!(pool.grow(&mut a, 17)); // two runs of 16, three groups: 6 of 12
        assert!((pool.usage() - 0.5).abs() < 1e-12);
        assert!(pool.grow(&mut a, 32)); // fits what is held
        assert!(!pool.grow(&mut b, 33)); // would need 9
        assert!(pool.grow(&mut b, 32));
        assert!(!pool.grow(&mut a, 33));
        pool.release(&mut b);
        assert!(pool.grow(&mut a, 64));
        assert!((pool.usage() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn usage_leaves_the_null_block_out() {
        // vLLM 0.11.2 under load of 16: 728 blocks, 16 in use, vllm:kv_cache_usage_perc 0.022008253094910613.
        let mut pool = BlockPool::new(KvCache {
            block_size: 128,
            num_gpu_blocks: 728,
            groups: 1,
        });
        let mut tables: Vec<BlockTable> = (0..16).map(|_| BlockTable::default()).collect();
        assert!(tables.iter_mut().all(|table| pool.grow(table, 100)));
        assert!((pool.usage() - 0.022_008_253_094_910_613).abs() < 1e-15);
    }
}
