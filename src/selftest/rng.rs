//! Reproducible random numbers.

/// A generator that is determined by its seed (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    /// The generator of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator of its own, for a task: its numbers do not depend on what other tasks do meanwhile.
    pub(super) fn fork(&mut self) -> Self {
        Self(self.next_u64())
    }

    pub(super) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to one less than this.
    pub(super) fn below(&mut self, end: usize) -> usize {
        // The bias of the remainder is far below what a test could notice.
        usize::try_from(self.next_u64() % u64::try_from(end.max(1)).unwrap_or(1)).unwrap_or(0)
    }

    /// Returns `true` with a chance of `times` in a hundred.
    pub(super) fn percent(&mut self, times: usize) -> bool {
        self.below(100) < times
    }

    /// A number from 0 to 1.
    pub(super) fn share(&mut self) -> f64 {
        f64::from(u32::try_from(self.next_u64() >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }

    /// One of these.
    pub(super) fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }

    pub(super) fn shuffle<T>(&mut self, all: &mut [T]) {
        for place in (1..all.len()).rev() {
            all.swap(place, self.below(place + 1));
        }
    }
}
