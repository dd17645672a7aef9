//! The faults of calls through pointers to functions (`specs/functions.md`): what a failed call writes to, and how such an
//! access is recognised.

/// The lowest offset of the null pointer: no program reaches it. The handle is added to it.
pub(crate) const FAILED_CALL: u64 = (-1i64 << 47) as u64;
/// Added, too, if the call is deeper than allowed.
pub(crate) const TOO_DEEP: u64 = 1 << 45;

/// A call that found no function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FailedCall {
    /// The pointer; 0 if it is null.
    pub(crate) handle: u64,
    /// Whether the call is deeper than allowed.
    pub(crate) deep: bool,
}

impl FailedCall {
    /// The failed call that an access at this offset of the null pointer stands for, if any.
    pub(crate) fn of(offset: i64) -> Option<Self> {
        let beyond = (offset as u64).wrapping_sub(FAILED_CALL);
        (beyond < 2 * TOO_DEEP)
            .then_some(Self { handle: beyond % TOO_DEEP, deep: beyond >= TOO_DEEP })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_calls_are_recognised_by_their_offset() {
        let offset = |handle: u64| (FAILED_CALL + handle) as i64;
        assert_eq!(FailedCall::of(offset(7)), Some(FailedCall { handle: 7, deep: false }));
        assert_eq!(FailedCall::of(offset(TOO_DEEP)), Some(FailedCall { handle: 0, deep: true }));
        for other in [0, -4, 1 << 32, offset(2 * TOO_DEEP), i64::MIN] {
            assert_eq!(FailedCall::of(other), None);
        }
    }
}
