//! Which blocks of the KV cache a request holds: growth, prefix hits, and what a sliding window gives back.
//!
//! After vLLM 0.11.2's `kv_cache_manager.py` and `single_type_kv_cache_manager.py`. A run of `block_size` tokens takes one block in every
//! group. Groups of full attention keep all of them; those of sliding attention give back what no token to come can see. A prefix
//! is found by the hashes of its full blocks, in all groups at once; the last token is always computed anew, because its logits are needed.
//! Blocks count as filled when they are handed out, as in vLLM: a request admitted later in the same step finds them.

use std::ops::Range;

use crate::blocks::{BlockId, BlockPool, NULL};
use crate::profile::KvCache;
use crate::sequence::Sequence;

/// The KV cache of one engine.
#[derive(Debug)]
pub(crate) struct KvPool {
    layout: KvCache,
    pool: BlockPool,
}

/// Blocks held by one sequence.
#[derive(Debug, Default)]
pub(crate) struct BlockTable {
    /// One row of blocks per group; groups of sliding attention first, as vLLM orders them for models that begin with such a layer.
    groups: Vec<Vec<BlockId>>,
    /// Blocks of each group whose content has been said to the pool.
    labelled: u32,
    /// Blocks at the head of each sliding row that have been given back.
    slid: u32,
}

/// A prefix of a prompt that is in the cache already.
#[derive(Debug, Default)]
pub(crate) struct PrefixHit {
    groups: Vec<Vec<BlockId>>,
    pub(crate) tokens: u32,
}

impl KvPool {
    pub(crate) fn new(layout: KvCache) -> Self {
        Self { layout, pool: BlockPool::new(layout.num_gpu_blocks) }
    }

    /// Share of the pool in use, 0 to 1.
    pub(crate) fn usage(&self) -> f64 {
        self.pool.usage()
    }

    /// Whether prefixes are looked for.
    pub(crate) fn caches_prefixes(&self) -> bool {
        self.layout.enable_prefix_caching
    }

    /// The longest prefix of `sequence` that is in the cache, in whole blocks.
    pub(crate) fn find_prefix(&self, sequence: &Sequence) -> PrefixHit {
        if !self.caches_prefixes() {
            return PrefixHit::default();
        }
        let sliding = self.layout.sliding_groups();
        let most = sequence.tokens().saturating_sub(1) / self.layout.block_size;
        let missing = |&index: &u32| !self.find_all(sequence, index, sliding..self.layout.groups);
        let mut blocks = (0..most).find(missing).unwrap_or(most);
        if sliding > 0 {
            blocks = self.longest_with_window(sequence, blocks, sliding);
        }
        let visible_from = blocks.saturating_sub(self.window_blocks());
        let groups = (0..self.layout.groups)
            .map(|group| {
                let seen = |index| group >= sliding || index >= visible_from;
                let block = |index| self.pool.find((group, sequence.block_hash(index)));
                (0..blocks).map(|index| seen(index).then(|| block(index)).flatten().unwrap_or(NULL)).collect()
            })
            .collect();
        PrefixHit { groups, tokens: blocks * self.layout.block_size }
    }

    /// Makes `table` hold the KV of `tokens` tokens of `sequence`, of which `computed` are computed; false when the pool has too few
    /// blocks. Even then, what has left the window is given back.
    pub(crate) fn grow(&mut self, table: &mut BlockTable, sequence: &Sequence, computed: u32, tokens: u32) -> bool {
        self.slide(table, computed);
        self.allocate(table, sequence, &PrefixHit::default(), tokens)
    }

    /// The same for a sequence that begins, on top of the prefix that was found.
    pub(crate) fn begin(&mut self, sequence: &Sequence, hit: &PrefixHit, tokens: u32) -> Option<BlockTable> {
        let mut table = BlockTable { groups: vec![Vec::new(); self.layout.groups as usize], ..BlockTable::default() };
        self.allocate(&mut table, sequence, hit, tokens).then_some(table)
    }

    /// Takes back all that `table` holds: the tail first, so that it is used again before the head.
    pub(crate) fn release(&mut self, table: &mut BlockTable) {
        for row in std::mem::take(table).groups {
            for block in row.into_iter().rev() {
                self.pool.release(block);
            }
        }
    }

    fn allocate(&mut self, table: &mut BlockTable, sequence: &Sequence, hit: &PrefixHit, tokens: u32) -> bool {
        let needed = tokens.div_ceil(self.layout.block_size) as usize;
        let found = hit.groups.first().map_or(0, Vec::len);
        let held = table.groups.first().map_or(0, Vec::len) + found;
        let missing = needed.saturating_sub(held) * table.groups.len();
        // Found blocks that wait to be used again leave the queue, too.
        let revived = hit.groups.iter().flatten();
        let revived = revived.filter(|&&block| self.pool.is_free(block)).count();
        if missing + revived > self.pool.free() as usize {
            return false;
        }
        for (row, found) in table.groups.iter_mut().zip(&hit.groups) {
            for &block in found {
                self.pool.touch(block);
            }
            row.extend_from_slice(found);
        }
        table.labelled += hit.tokens / self.layout.block_size;
        for row in &mut table.groups {
            while row.len() < needed
                && let Some(block) = self.pool.take()
            {
                row.push(block);
            }
        }
        if self.caches_prefixes() {
            self.label(table, sequence, tokens);
        }
        true
    }

    fn label(&mut self, table: &mut BlockTable, sequence: &Sequence, tokens: u32) {
        let full = tokens / self.layout.block_size;
        for index in table.labelled..full {
            let hash = sequence.block_hash(index);
            for (group, row) in (0u32..).zip(&table.groups) {
                self.pool.label(row[index as usize], (group, hash));
            }
        }
        table.labelled = table.labelled.max(full);
    }

    /// Gives back the blocks that a sliding window has left behind once `computed` tokens are computed.
    fn slide(&mut self, table: &mut BlockTable, computed: u32) {
        let Some(window) = self.layout.sliding_window else {
            return;
        };
        let behind = (computed + 1).saturating_sub(window.tokens) / self.layout.block_size;
        for row in table.groups.iter_mut().take(window.groups as usize) {
            for index in (table.slid..behind).rev() {
                let block = std::mem::replace(&mut row[index as usize], NULL);
                self.pool.release(block);
            }
        }
        table.slid = table.slid.max(behind);
    }

    fn find_all(&self, sequence: &Sequence, index: u32, groups: Range<u32>) -> bool {
        let hash = sequence.block_hash(index);
        let mut groups = groups;
        groups.all(|group| self.pool.find((group, hash)).is_some())
    }

    /// Blocks that the window reaches back over from the first token after a prefix.
    fn window_blocks(&self) -> u32 {
        match self.layout.sliding_window {
            Some(window) => (window.tokens - 1).div_ceil(self.layout.block_size),
            None => 0,
        }
    }

    /// The longest prefix, of at most `blocks` blocks, whose end has a whole window in the cache, or that is in it from its beginning.
    fn longest_with_window(&self, sequence: &Sequence, blocks: u32, sliding: u32) -> u32 {
        let mut contiguous = 0;
        for index in (0..blocks).rev() {
            if self.find_all(sequence, index, 0..sliding) {
                contiguous += 1;
                if contiguous >= self.window_blocks() {
                    return index + contiguous;
                }
            } else {
                contiguous = 0;
            }
        }
        contiguous
    }
}
