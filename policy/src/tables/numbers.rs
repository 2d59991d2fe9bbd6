//! Numbers that are given out and come back: the lowest first, so that they stay dense.

/// Which numbers are free.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbers {
    /// Numbers below `next`, in descending order.
    free: Vec<u32>,
    next: u32,
}

impl Numbers {
    /// The lowest number that is free.
    pub(super) fn take(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            let number = self.next;
            self.next = number.checked_add(1).expect("memory ends before there are 2^32 rules or classes");
            number
        })
    }

    /// Frees numbers.
    pub(super) fn give_back(&mut self, numbers: impl IntoIterator<Item = u32>) {
        let before = self.free.len();
        self.free.extend(numbers);
        if self.free.len() > before {
            self.free.sort_unstable_by(|a, b| b.cmp(a));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_first() {
        let mut numbers = Numbers::default();
        assert_eq!([0; 4].map(|_| numbers.take()), [0, 1, 2, 3]);
        numbers.give_back([2, 0, 1]);
        assert_eq!([0; 4].map(|_| numbers.take()), [0, 1, 2, 4]);
    }
}
