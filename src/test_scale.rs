//! How many times tests repeat what they try.

/// A count for a loop, by `ARUMINIUM_TEST_SCALE`: `small`, for emulated processors, is a twentieth of
/// it, `many` twenty times it, `full` a hundred times.
pub(crate) fn scaled(count: usize) -> usize {
    match std::env::var("ARUMINIUM_TEST_SCALE").as_deref() {
        Ok("small") => count.div_ceil(20),
        Ok("many") => count * 20,
        Ok("full") => count * 100,
        _ => count,
    }
}
