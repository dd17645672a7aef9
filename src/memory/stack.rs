//! A lock-free stack of indices: the free cells of a grid.

use super::atomic::{AtomicU64, Ordering};

/// The indices below a length, each on the stack at most once.
///
/// The head has an index (or [`NONE`]) in its low bits and above it a tag that each push increments: a
/// pop that was interrupted sees a different tag when the same index is on top again (the ABA problem).
/// Each index has a node: the index below it, and above those bits the depth of the stack with it.
#[derive(Debug)]
pub(super) struct Stack {
    head: AtomicU64,
    nodes: Box<[AtomicU64]>,
}

const INDEX_BITS: u32 = 24;
const NONE: u64 = (1 << INDEX_BITS) - 1;
/// The most indices that a stack can have.
pub(super) const LIMIT: usize = NONE as usize;
const TAG: u64 = 1 << INDEX_BITS;
/// One index, in the depth of a node.
const DEPTH: u64 = 1 << INDEX_BITS;

impl Stack {
    /// All indices below a length, which is at most [`LIMIT`], 0 on top.
    pub(super) fn full(len: usize) -> Self {
        let node = |index: usize| {
            let below = if index + 1 == len { NONE } else { index as u64 + 1 };
            AtomicU64::new((((len - index) as u64) << INDEX_BITS) | below)
        };
        Self {
            head: AtomicU64::new(if len == 0 { NONE } else { 0 }),
            nodes: (0..len).map(node).collect(),
        }
    }

    /// How many indices there are, on the stack or not.
    #[inline]
    pub(super) fn total(&self) -> usize {
        self.nodes.len()
    }

    /// Takes the index on top.
    #[inline]
    pub(super) fn pop(&self) -> Option<usize> {
        // Acquire: the node was written before the index was pushed.
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let index = head & NONE;
            // An empty stack has no node.
            let node = self.nodes.get(index as usize)?.load(Ordering::Relaxed);
            let below = (head & !NONE) | (node & NONE);
            // Acquire: everything done with the index before it was pushed happens before this returns. That
            // holds for all below it, too: every change of the head continues the release sequence.
            match self.head.compare_exchange_weak(head, below, Ordering::Acquire, Ordering::Acquire)
            {
                Ok(_) => return Some(index as usize),
                Err(changed) => head = changed,
            }
        }
    }

    /// Pushes an index that `pop` returned.
    #[inline]
    pub(super) fn push(&self, index: usize) {
        // Acquire: the depth is read from the node on top.
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            // One deeper than the node on top, which is below it now.
            let node = (self.node(head) & !NONE).wrapping_add(DEPTH | (head & NONE));
            self.nodes[index].store(node, Ordering::Relaxed);
            let then = (head & !NONE).wrapping_add(TAG) | index as u64;
            match self.head.compare_exchange_weak(head, then, Ordering::Release, Ordering::Acquire)
            {
                Ok(_) => return,
                Err(changed) => head = changed,
            }
        }
    }

    /// How many indices are on the stack at one moment during the call.
    pub(super) fn len(&self) -> usize {
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let depth = self.depth(head);
            match self.head.load(Ordering::Acquire) {
                same if same == head => return depth as usize,
                changed => head = changed,
            }
        }
    }

    /// The depth of the stack with this head; of any number if the head has changed meanwhile.
    #[inline]
    fn depth(&self, head: u64) -> u64 {
        self.node(head) >> INDEX_BITS
    }

    /// The node of the index on top, 0 if there is none; of any index if the head has changed meanwhile.
    #[inline]
    fn node(&self, head: u64) -> u64 {
        let node = self.nodes.get((head & NONE) as usize);
        node.map_or(0, |node| node.load(Ordering::Relaxed))
    }
}
