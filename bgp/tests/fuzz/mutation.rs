//! Small changes of an input, of the loop in `fuzz` and of the comparison with other codecs. An input is a byte of dialect
//! and then what a peer sends.

/// Longer inputs are cut: what they could find, shorter ones do.
const MAX_LEN: usize = 600;

/// Xorshift.
pub struct Random(u64);

impl Random {
    /// An even seed gives what the odd one above it does: zero would stay zero.
    pub const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        const LIKELY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 14, 15, 16, 32, 33, 64, 128, 132, 255];
        if self.below(2) == 0 { LIKELY[self.below(16)] } else { self.next().to_be_bytes()[0] }
    }
}

/// One of `pool`, changed in a few places, perhaps with pieces of another.
pub fn mutate(pool: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = pool[random.below(pool.len())].clone();
    let other = &pool[random.below(pool.len())];
    for _ in 0..=random.below(4) {
        change(&mut input, other, random);
    }
    repair(&mut input, random);
    input
}

/// One change of `input`, perhaps with a piece of `other`.
fn change(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let len = random.below(12);
    match random.below(6) {
        0 | 1 if at < input.len() => input[at] = random.byte(),
        2 if at < input.len() => input[at] ^= 1 << random.below(8),
        3 => drop(input.drain(at..(at + len).min(input.len()))),
        4 => {
            let from = random.below(other.len());
            let piece = other[from..(from + random.below(60)).min(other.len())].to_vec();
            input.splice(at..at, piece);
        }
        _ => {
            let bytes: Vec<u8> = (0..len).map(|_| random.byte()).collect();
            input.splice(at..at, bytes);
        }
    }
    input.truncate(MAX_LEN);
}

/// Makes the message's length right, and mostly an UPDATE's length of attributes, so that more is looked at.
fn repair(input: &mut [u8], random: &mut Random) {
    if input.len() < 20 || random.below(20) == 0 {
        return;
    }
    input[1..17].fill(0xff);
    let len = u16::try_from(input.len() - 1).unwrap();
    input[17..19].copy_from_slice(&len.to_be_bytes());
    if input[19] == 2 && input.len() >= 24 && random.below(4) != 0 {
        input[20..22].fill(0);
        input[22..24].copy_from_slice(&(len - 23).to_be_bytes());
    }
}
