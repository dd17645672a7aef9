//! The instruction sets that machine code is made for.

use crate::soft::variables;

/// An instruction set that kernels become machine code for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IsaKind {
    /// The features that the target guarantees: NEON on aarch64. On x86_64 it has no machine code.
    Baseline,
    /// AVX2, FMA and F16C.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 with its byte, word, doubleword and vector-length parts.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl IsaKind {
    /// The sets that this machine can run, the best last.
    pub(crate) fn available() -> Vec<Self> {
        let more: &[(Self, bool)] = &[
            #[cfg(target_arch = "x86_64")]
            (Self::Avx2, has_avx2()),
            #[cfg(target_arch = "x86_64")]
            (Self::Avx512, has_avx2() && has_avx512()),
        ];
        let baseline = std::iter::once(Self::Baseline);
        baseline.chain(more.iter().filter(|(_, has)| *has).map(|&(isa, _)| isa)).collect()
    }

    /// The name, as in `ARUMINIUM_ISA`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
        }
    }

    /// The set to use: the one that the environment variable `ARUMINIUM_ISA` names, if the machine has
    /// it, else the best.
    pub(crate) fn chosen() -> Self {
        static CHOSEN: std::sync::OnceLock<IsaKind> = std::sync::OnceLock::new();
        *CHOSEN.get_or_init(|| {
            let available = Self::available();
            let best = available.last().copied().unwrap_or(Self::Baseline);
            let Some(wanted) = variables::ISA.given() else { return best };
            available.iter().find(|isa| isa.name() == wanted).copied().unwrap_or_else(|| {
                let best_name = best.name();
                variables::report(&format!(
                    "ARUMINIUM_ISA={wanted} is ignored: this processor does not have it; {best_name} is used"
                ));
                best
            })
        })
    }
}

/// Whether the machine has what code for AVX2 uses.
#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    use std::arch::is_x86_feature_detected as has;
    let small = has!("bmi1") && has!("bmi2") && has!("lzcnt") && has!("popcnt");
    small && has!("avx2") && has!("fma") && has!("f16c")
}

/// Whether the machine has what code for AVX-512 uses on top.
#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    use std::arch::is_x86_feature_detected as has;
    has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl")
}
