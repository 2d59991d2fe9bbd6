//! Seals: by them a program tells whether what it read from a map is one value, and of the scope that it asked for.
//!
//! The kernel may give the memory of a removed or replaced element to another one at once, while a program still reads
//! it: the program then has another scope's value, or some words of each. So values that belong to a tenant end with a
//! sum over all words in front of it and over the scope of their key: the network's or subnet's VNI, the VNI, or the
//! interface index. Programs copy a value, and believe the copy if its seal is right.

use weft_vxlan::Vni;

/// What the key of an entry says of whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope(u32);

impl Scope {
    /// A network or subnet, or the VNI of the entry.
    #[must_use]
    pub const fn of(vni: Vni) -> Self {
        Self(vni.get())
    }

    /// The same from the value that the programs hold, or an interface index.
    #[must_use]
    #[inline(always)]
    pub const fn raw(number: u32) -> Self {
        Self(number)
    }
}

/// A value with a seal. What is behind the seal, which a build may add without another
/// [`ABI_VERSION`](crate::ABI_VERSION), is not sealed.
pub trait Sealed: Copy + zerocopy::FromBytes + zerocopy::Immutable {
    /// Whether it is a whole value, made for an entry of this scope.
    #[must_use]
    fn is_of(&self, scope: Scope) -> bool;
}

/// The seal of a value whose first `sealed` words are `words`, in an entry of this scope.
///
/// A sum of products, so that a program's processor can make them side by side; with odd factors, so that no word
/// differs unseen; in 64 bits that are folded, so that the high bits of words do not cancel each other out.
#[must_use]
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the sum is folded to 32 bits")]
pub(crate) const fn seal<const WORDS: usize>(scope: Scope, words: &[u32; WORDS], sealed: usize) -> u32 {
    let mut sum = (scope.0 as u64).wrapping_mul(factor(sealed));
    let mut word = 0;
    while word < sealed {
        sum = sum.wrapping_add((words[word] as u64).wrapping_mul(factor(word)));
        word += 1;
    }
    (sum ^ (sum >> 32)) as u32
}

/// Odd, different for each word, and below 2^31: an instruction of eBPF holds it.
#[inline(always)]
const fn factor(word: usize) -> u64 {
    ((((word as u64 * 2 + 1) * 0x9e37_79b1) & 0xffff_ffff) >> 1) | 1
}

/// Has a type end with its field `seal`, but for what a build adds behind it.
macro_rules! sealed {
    ($type:ty) => {
        impl $type {
            #[inline(always)]
            const fn seal_for(&self, scope: crate::Scope) -> u32 {
                const WORDS: usize = size_of::<$type>() / 4;
                let words: [u32; WORDS] = zerocopy::transmute!(*self);
                crate::seal::seal(scope, &words, core::mem::offset_of!($type, seal) / 4)
            }

            /// The same, for an entry of this scope.
            const fn sealed(self, scope: crate::Scope) -> Self {
                let seal = self.seal_for(scope);
                Self { seal, ..self }
            }
        }

        impl crate::Sealed for $type {
            #[inline(always)]
            fn is_of(&self, scope: crate::Scope) -> bool {
                self.seal == self.seal_for(scope)
            }
        }
    };
}
pub(crate) use sealed;

#[cfg(test)]
mod tests;
