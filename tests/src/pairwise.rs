//! Few cases in which every two values of different settings occur together: most faults of combinations are of two.

/// Cases for settings of which the first has `sizes[0]` values, the next `sizes[1]`, and so on: in each a value, from 0,
/// of every setting. Always the same ones, and for a dozen settings not many more than the two largest have pairs.
#[must_use]
pub fn pairwise(sizes: &[usize]) -> Vec<Vec<usize>> {
    let mut missing = pairs(sizes);
    let mut cases = Vec::new();
    while let Some(first) = missing.first().copied() {
        let case = fill(sizes, first, &missing, &cases);
        missing.retain(|pair| !pair.is_in(&case));
        cases.push(case);
    }
    cases
}

/// Two values that are to occur together: each a setting and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair([(usize, usize); 2]);

impl Pair {
    fn is_in(self, case: &[usize]) -> bool {
        self.0.iter().all(|(setting, value)| case.get(*setting) == Some(value))
    }
}

fn pairs(sizes: &[usize]) -> Vec<Pair> {
    let values =
        || sizes.iter().enumerate().flat_map(|(setting, size)| (0..*size).map(move |value| (setting, value)));
    values()
        .flat_map(|one| values().filter(move |other| other.0 > one.0).map(move |other| Pair([one, other])))
        .collect()
}

/// A case with `first`, whose other values are chosen one by one for the missing pairs that they make.
fn fill(sizes: &[usize], first: Pair, missing: &[Pair], before: &[Vec<usize>]) -> Vec<usize> {
    let mut chosen: Vec<Option<usize>> = vec![None; sizes.len()];
    for (setting, value) in first.0 {
        chosen[setting] = Some(value);
    }
    for (setting, size) in sizes.iter().enumerate() {
        if chosen[setting].is_some() {
            continue;
        }
        let made = |value: usize| {
            let with =
                |(of, at): (usize, usize)| if of == setting { at == value } else { chosen[of] == Some(at) };
            missing.iter().filter(|pair| pair.0.iter().all(|side| with(*side))).count()
        };
        let used = |value: usize| before.iter().filter(|case| case[setting] == value).count();
        // Of equal ones the one that occurred least: where no pair is missing, cases still differ.
        let best = (0..*size).min_by_key(|value| (std::cmp::Reverse(made(*value)), used(*value)));
        chosen[setting] = best;
    }
    chosen.into_iter().map(Option::unwrap_or_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_occurs_in_few_cases() {
        for sizes in [&[2, 2][..], &[2; 12], &[4, 4, 3, 3, 2, 2, 2, 2, 2], &[3, 1, 5], &[7]] {
            let cases = pairwise(sizes);
            for pair in pairs(sizes) {
                assert!(cases.iter().any(|case| pair.is_in(case)), "{sizes:?}: no case has {pair:?}");
            }
            assert!(cases.iter().all(|case| case.iter().zip(sizes).all(|(value, size)| value < size)));
            let mut largest = sizes.to_vec();
            largest.sort_unstable();
            let least: usize = largest.iter().rev().take(2).product();
            assert!(cases.len() <= 2 * least + 4, "{} cases for {sizes:?}", cases.len());
            assert_eq!(cases, pairwise(sizes));
        }
    }
}
