//! Three tapes, for the memory that inference uses.

use super::error::MemError;
use super::tape::Tape;
use std::fmt;

/// Permanent weights, scratch memory for one forward pass, and history for one conversation: a tape each.
///
/// ```
/// use aruminium::memory::Layout;
/// let layout = Layout::new(1 << 20, 1 << 16, 1 << 16)?;
/// layout.weights().take(1000, 64);
/// layout.scratch().take(100, 64);
/// layout.clear_pass();
/// assert_eq!((layout.weights().used(), layout.scratch().used()), (1000, 0));
/// println!("{}", layout.stat());
/// # Ok::<(), aruminium::memory::MemError>(())
/// ```
#[derive(Debug)]
pub struct Layout {
    weights: Tape,
    scratch: Tape,
    history: Tape,
}

/// How much of a [`Layout`] is used, in bytes. Displayed in whole MiB.
///
/// ```
/// let stat = aruminium::memory::Layout::new(1 << 20, 1 << 20, 2 << 20)?.stat();
/// assert_eq!(stat.to_string(), "weights: 0/1 MB | scratch: 0/1 MB | history: 0/2 MB");
/// # Ok::<(), aruminium::memory::MemError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Bytes taken from the weights' tape.
    pub weights_used: usize,
    /// Size of the weights' tape in bytes.
    pub weights_total: usize,
    /// Bytes taken from the scratch tape.
    pub scratch_used: usize,
    /// Size of the scratch tape in bytes.
    pub scratch_total: usize,
    /// Bytes taken from the history's tape.
    pub history_used: usize,
    /// Size of the history's tape in bytes.
    pub history_total: usize,
}

impl Layout {
    /// Three tapes of at least these many bytes; the pages of the weights are prefaulted.
    ///
    /// # Errors
    ///
    /// As for [`Tape::start_warm`].
    ///
    /// ```
    /// let layout = aruminium::memory::Layout::new(4096, 4096, 4096)?;
    /// assert!(layout.total() >= 3 * 4096);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn new(weights: usize, scratch: usize, history: usize) -> Result<Self, MemError> {
        Ok(Self {
            weights: Tape::start_warm(weights)?,
            scratch: Tape::start(scratch)?,
            history: Tape::start(history)?,
        })
    }

    /// Frees the memory of one pass: the scratch tape.
    ///
    /// # Panics
    ///
    /// As for [`Tape::clear`].
    ///
    /// ```
    /// let layout = aruminium::memory::Layout::new(4096, 4096, 4096)?;
    /// layout.clear_pass();
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[track_caller]
    pub fn clear_pass(&self) {
        self.scratch.clear();
    }

    /// [`clear_pass`](Self::clear_pass), where it would not panic; returns whether the tape was cleared.
    ///
    /// ```
    /// let layout = aruminium::memory::Layout::new(4096, 4096, 4096)?;
    /// let span = layout.scratch().slice::<u8>(16);
    /// assert!(!layout.try_clear_pass());
    /// drop(span);
    /// assert!(layout.try_clear_pass());
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn try_clear_pass(&self) -> bool {
        self.scratch.try_clear()
    }

    /// Frees the memory of one conversation: the history's and the scratch tape. Where it panics, neither is cleared; if
    /// another thread takes memory meanwhile, it may be that only the scratch tape is.
    ///
    /// # Panics
    ///
    /// As for [`Tape::clear`], of either tape.
    ///
    /// ```
    /// let layout = aruminium::memory::Layout::new(4096, 4096, 4096)?;
    /// layout.history().take(100, 1);
    /// layout.clear_talk();
    /// assert_eq!(layout.history().used(), 0);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    #[track_caller]
    pub fn clear_talk(&self) {
        self.history.assert_clearable();
        self.scratch.clear();
        self.history.clear();
    }

    /// [`clear_talk`](Self::clear_talk), where it would not panic; returns whether both tapes were cleared.
    ///
    /// ```
    /// let layout = aruminium::memory::Layout::new(4096, 4096, 4096)?;
    /// layout.scratch().take(100, 1);
    /// let span = layout.history().slice::<u8>(16);
    /// assert!(!layout.try_clear_talk() && layout.scratch().used() == 100, "neither was cleared");
    /// drop(span);
    /// assert!(layout.try_clear_talk() && layout.scratch().used() == 0);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn try_clear_talk(&self) -> bool {
        self.history.is_clearable() && self.scratch.try_clear() && self.history.try_clear()
    }

    /// The size of the three tapes together, in bytes.
    ///
    /// ```
    /// let layout = aruminium::memory::Layout::new(4096, 4096, 4096)?;
    /// assert_eq!(layout.total() % 3, 0);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn total(&self) -> usize {
        self.weights.total() + self.scratch.total() + self.history.total()
    }

    /// How much is used.
    ///
    /// ```
    /// let layout = aruminium::memory::Layout::new(4096, 4096, 4096)?;
    /// layout.scratch().take(100, 1);
    /// assert_eq!(layout.stat().scratch_used, 100);
    /// # Ok::<(), aruminium::memory::MemError>(())
    /// ```
    pub fn stat(&self) -> Stat {
        Stat {
            weights_used: self.weights.used(),
            weights_total: self.weights.total(),
            scratch_used: self.scratch.used(),
            scratch_total: self.scratch.total(),
            history_used: self.history.used(),
            history_total: self.history.total(),
        }
    }
}

/// The accessors of the three tapes.
macro_rules! tapes {
    ($($name:ident: $what:literal;)+) => {
        impl Layout {$(
            #[doc = $what]
            ///
            /// ```
            /// let layout = aruminium::memory::Layout::new(4096, 4096, 4096)?;
            #[doc = concat!("assert!(layout.", stringify!($name), "().take(64, 64).is_some());")]
            /// # Ok::<(), aruminium::memory::MemError>(())
            /// ```
            pub fn $name(&self) -> &Tape {
                &self.$name
            }
        )+}
    };
}

tapes! {
    weights: "The tape of data that lives as long as the model.";
    scratch: "The tape of temporary data of one pass.";
    history: "The tape of the data of one conversation.";
}

impl fmt::Display for Stat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tapes = [
            ("weights", self.weights_used, self.weights_total),
            ("scratch", self.scratch_used, self.scratch_total),
            ("history", self.history_used, self.history_total),
        ];
        for (index, (name, used, total)) in tapes.into_iter().enumerate() {
            let separator = if index == 0 { "" } else { " | " };
            write!(f, "{separator}{name}: {}/{} MB", used >> 20, total >> 20)?;
        }
        Ok(())
    }
}
