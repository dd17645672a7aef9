//! The inputs of a thread: attributes that say where it is in the launch (MSL 5.2.3.6).

use super::limits::{SIMD_WIDTH, THREADS};

/// Declares [`Input`] and its table: variant, MSL attribute, whether it is uniform in a SIMD-group, and the
/// highest number that a component can be, where that is small.
macro_rules! inputs {
    ($($input:ident $name:literal $uniform:ident $(, $most:expr)?;)*) => {
        /// Attributes that say where a thread is in the launch (MSL 5.2.3.6).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Input {
            $(#[doc = concat!("`", $name, "`")] $input,)*
        }

        impl Input {
            /// Every input.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$input,)*];

            /// The attribute's name in the language.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$input => $name,)* }
            }

            /// Whether all lanes of a SIMD-group have the same.
            pub(crate) const fn is_uniform(self) -> bool {
                match self { $(Self::$input => inputs!(@ $uniform),)* }
            }

            /// The highest number that a component can be, where the size of a threadgroup limits it.
            pub(crate) const fn most(self) -> Option<u32> {
                match self {
                    $($(Self::$input => Some($most),)?)*
                    _ => None,
                }
            }
        }
    };
    (@ uniform) => { true };
    (@ varying) => { false };
}

inputs! {
    ThreadPositionInGrid "thread_position_in_grid" varying;
    ThreadPositionInThreadgroup "thread_position_in_threadgroup" varying, THREADS - 1;
    ThreadIndexInThreadgroup "thread_index_in_threadgroup" varying, THREADS - 1;
    ThreadIndexInSimdgroup "thread_index_in_simdgroup" varying, SIMD_WIDTH - 1;
    ThreadIndexInQuadgroup "thread_index_in_quadgroup" varying, 3;
    QuadgroupIndexInThreadgroup "quadgroup_index_in_threadgroup" varying, THREADS / 4 - 1;
    ThreadgroupPositionInGrid "threadgroup_position_in_grid" uniform;
    ThreadsPerGrid "threads_per_grid" uniform;
    ThreadsPerThreadgroup "threads_per_threadgroup" uniform, THREADS;
    DispatchThreadsPerThreadgroup "dispatch_threads_per_threadgroup" uniform, THREADS;
    ThreadgroupsPerGrid "threadgroups_per_grid" uniform;
    SimdgroupIndexInThreadgroup "simdgroup_index_in_threadgroup" uniform, THREADS / SIMD_WIDTH - 1;
    SimdgroupsPerThreadgroup "simdgroups_per_threadgroup" uniform, THREADS / SIMD_WIDTH;
    DispatchSimdgroupsPerThreadgroup "dispatch_simdgroups_per_threadgroup" uniform, THREADS / SIMD_WIDTH;
    QuadgroupsPerThreadgroup "quadgroups_per_threadgroup" uniform, THREADS / 4;
    DispatchQuadgroupsPerThreadgroup "dispatch_quadgroups_per_threadgroup" uniform, THREADS / 4;
    ThreadsPerSimdgroup "threads_per_simdgroup" uniform, 32;
    GridOrigin "grid_origin" uniform;
    GridSize "grid_size" uniform;
}

impl Input {
    /// The immediate of [`Op::Input`](super::Op::Input) for one component of this input.
    pub(crate) const fn imm(self, component: u32) -> u64 {
        self as u64 * 4 + component as u64
    }

    /// The input and component of an immediate.
    pub(crate) fn from_imm(imm: u64) -> Option<(Self, u32)> {
        let input = Self::ALL.get(usize::try_from(imm / 4).ok()?)?;
        (imm % 4 < 3).then_some((*input, (imm % 4) as u32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_survive_their_immediate() {
        for &input in Input::ALL {
            assert_eq!(Input::from_imm(input.imm(2)), Some((input, 2)));
        }
        assert_eq!(Input::from_imm(3), None);
        assert_eq!(Input::from_imm(u64::MAX), None);
    }
}
