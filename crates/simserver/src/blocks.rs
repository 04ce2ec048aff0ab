//! The paged KV cache: blocks with identity, who refers to them, and in which order free ones are used again.
//!
//! After `PagedAttention` (Kwon et al., SOSP 2023) and vLLM 0.11.2's `block_pool.py`: free blocks stand in a queue, the least recently
//! freed first; a block that was full keeps its hash while it waits there, and whoever looks for that hash gets it back; of several blocks
//! with one hash, the one that got it first. Block 0 is never handed out and stands for "not needed any more".
//! Which blocks a request needs is said in `block_table`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Names a block; [`NULL`] is none.
pub(crate) type BlockId = u32;

/// The null block: never handed out, holds nothing.
pub(crate) const NULL: BlockId = 0;

/// What is in a full block: the hash of all tokens up to its end, and the KV cache group.
pub(crate) type BlockKey = (u32, u64);

/// The pool of one engine.
#[derive(Debug)]
pub(crate) struct BlockPool {
    /// Block 0 is the null block, and here also the place where the ring of free blocks begins and ends.
    blocks: Vec<Block>,
    free: u32,
    /// The first and the last of the blocks that hold a key; in between they hang together by `earlier` and `later`.
    cached: HashMap<BlockKey, (BlockId, BlockId)>,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    references: u32,
    key: Option<BlockKey>,
    previous: BlockId,
    next: BlockId,
    earlier: BlockId,
    later: BlockId,
}

impl BlockPool {
    /// A pool of `num_gpu_blocks` blocks, the null block included.
    pub(crate) fn new(num_gpu_blocks: u32) -> Self {
        let count = num_gpu_blocks.max(1);
        let blocks = (0..count)
            .map(|id| Block {
                references: 0,
                key: None,
                previous: id.checked_sub(1).unwrap_or(count - 1),
                next: (id + 1) % count,
                earlier: NULL,
                later: NULL,
            })
            .collect();
        Self { blocks, free: count - 1, cached: HashMap::new() }
    }

    /// Blocks that nobody refers to; some may still hold what they held.
    pub(crate) fn free(&self) -> u32 {
        self.free
    }

    /// Share of the pool in use, 0 to 1, as `vllm:kv_cache_usage_perc` gives it: the null block does not count.
    pub(crate) fn usage(&self) -> f64 {
        let usable = self.blocks.len() - 1;
        if usable == 0 {
            return 0.0;
        }
        1.0 - f64::from(self.free) / usable as f64
    }

    /// The block that holds `key`, in use or waiting to be used again.
    pub(crate) fn find(&self, key: BlockKey) -> Option<BlockId> {
        self.cached.get(&key).map(|(first, _)| *first)
    }

    /// Whether `block` stands in the queue of free blocks.
    pub(crate) fn is_free(&self, block: BlockId) -> bool {
        block != NULL && self.blocks[block as usize].references == 0
    }

    /// Refers to a block that was found.
    pub(crate) fn touch(&mut self, block: BlockId) {
        if block == NULL {
            return;
        }
        if self.is_free(block) {
            self.unlink(block);
        }
        self.blocks[block as usize].references += 1;
    }

    /// Takes the least recently freed block, whatever it held; `None` when all are in use.
    pub(crate) fn take(&mut self) -> Option<BlockId> {
        let block = self.blocks[NULL as usize].next;
        if block == NULL {
            return None;
        }
        self.unlink(block);
        self.forget(block);
        self.blocks[block as usize].references = 1;
        Some(block)
    }

    /// Says what a full block holds.
    pub(crate) fn label(&mut self, block: BlockId, key: BlockKey) {
        if block == NULL {
            return;
        }
        let slot = &mut self.blocks[block as usize];
        (slot.key, slot.later) = (Some(key), NULL);
        match self.cached.entry(key) {
            Entry::Vacant(entry) => {
                slot.earlier = NULL;
                entry.insert((block, block));
            }
            Entry::Occupied(mut entry) => {
                let last = std::mem::replace(&mut entry.get_mut().1, block);
                slot.earlier = last;
                self.blocks[last as usize].later = block;
            }
        }
    }

    /// Gives a block back; the last to do so puts it at the end of the queue.
    pub(crate) fn release(&mut self, block: BlockId) {
        if block == NULL {
            return;
        }
        let slot = &mut self.blocks[block as usize];
        slot.references -= 1;
        if slot.references == 0 {
            let last = self.blocks[NULL as usize].previous;
            self.blocks[block as usize].previous = last;
            self.blocks[block as usize].next = NULL;
            self.blocks[last as usize].next = block;
            self.blocks[NULL as usize].previous = block;
            self.free += 1;
        }
    }

    /// Nobody will find it by what it held.
    fn forget(&mut self, block: BlockId) {
        let Block { earlier, later, .. } = self.blocks[block as usize];
        let Some(key) = self.blocks[block as usize].key.take() else {
            return;
        };
        if earlier != NULL {
            self.blocks[earlier as usize].later = later;
        }
        if later != NULL {
            self.blocks[later as usize].earlier = earlier;
        }
        if (earlier, later) == (NULL, NULL) {
            self.cached.remove(&key);
        } else if let Some((first, last)) = self.cached.get_mut(&key) {
            if earlier == NULL {
                *first = later;
            }
            if later == NULL {
                *last = earlier;
            }
        }
    }

    fn unlink(&mut self, block: BlockId) {
        let Block { previous, next, .. } = self.blocks[block as usize];
        self.blocks[previous as usize].next = next;
        self.blocks[next as usize].previous = previous;
        self.free -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_freed_block_is_used_first() {
        let mut pool = BlockPool::new(5);
        let taken: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(taken, [1, 2, 3, 4]);
        assert_eq!(pool.free(), 0);
        for block in [3, 1, 4] {
            pool.release(block);
        }
        assert_eq!(pool.take(), Some(3));
        assert_eq!(pool.take(), Some(1));
        assert!((pool.usage() - 0.75).abs() < 1e-12);
    }

    #[test]
    fn a_free_block_is_found_until_it_is_used_again() {
        let mut pool = BlockPool::new(3);
        let (a, b) = (pool.take().unwrap(), pool.take().unwrap());
        pool.label(a, (0, 7));
        pool.label(b, (0, 8));
        pool.release(a);
        pool.release(b);
        assert_eq!(pool.find((0, 7)), Some(a));
        assert_eq!(pool.find((1, 7)), None); // another group
        pool.touch(a);
        assert_eq!(pool.free(), 1);
        assert_eq!(pool.take(), Some(b));
        assert_eq!(pool.find((0, 8)), None);
        assert_eq!(pool.find((0, 7)), Some(a));
        assert_eq!(pool.take(), None);
    }

    #[test]
    fn of_blocks_that_hold_the_same_the_first_is_found() {
        let mut pool = BlockPool::new(4);
        let blocks: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        for &block in &blocks {
            pool.label(block, (0, 7));
        }
        for (used_again, found) in [(2, Some(1)), (1, Some(3)), (3, None)] {
            assert!(pool.find((0, 7)).is_some());
            pool.release(used_again);
            assert_eq!(pool.take(), Some(used_again));
            assert_eq!(pool.find((0, 7)), found);
        }
    }

    #[test]
    fn a_shared_block_is_free_when_the_last_has_left() {
        let mut pool = BlockPool::new(2);
        let block = pool.take().unwrap();
        pool.label(block, (0, 1));
        pool.touch(block);
        pool.release(block);
        assert_eq!(pool.free(), 0);
        pool.release(block);
        assert_eq!(pool.free(), 1);
    }
}
