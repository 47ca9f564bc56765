//! A small deterministic mutator: bounded smoke on any toolchain, where a fuzzer that sees coverage is not at hand.

use crate::dice::Dice;

/// Feeds `count` mutations of the seeds to `run`, the same ones each time; the seeds themselves must be taken, or the
/// mutations would be of nothing.
pub fn smoke(seeds: &[Vec<u8>], count: u64, run: fn(&[u8]) -> bool) {
    let mut dice = Dice::new(SEED);
    for (place, seed) in seeds.iter().enumerate() {
        assert!(run(seed), "seed {place} is refused");
    }
    for _ in 0..count {
        let mut bytes = dice.pick(seeds).clone();
        for _ in 0..=dice.below(MOST_CHANGES) {
            change(&mut bytes, seeds, &mut dice);
        }
        run(&bytes);
    }
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    let at = place(bytes, dice);
    match dice.below(6) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, byte(dice)),
        2 => bytes.iter_mut().skip(at).take(1).for_each(|it| *it ^= 1 << dice.below(8)),
        3 => bytes
            .iter_mut()
            .skip(at)
            .take(1)
            .for_each(|it| *it = EDGES[it.leading_zeros() as usize % EDGES.len()]),
        4 => drop(bytes.drain(at..(at + 4).min(bytes.len()))),
        // The beginning of one, the end of another.
        _ => {
            let other = dice.pick(seeds).clone();
            let from = place(&other, dice);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
    }
}

fn place(bytes: &[u8], dice: &mut Dice) -> usize {
    usize::try_from(dice.below(bytes.len() as u64 + 1)).unwrap_or_default()
}

fn byte(dice: &mut Dice) -> u8 {
    dice.below(256) as u8
}

/// Lengths and tags break at these.
const EDGES: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
const MOST_CHANGES: u64 = 6;
/// Any will do; a change of it makes another smoke.
const SEED: u64 = 0x9051_e211;

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::BTreeSet};

    use super::*;

    /// Cuts make some of them alike.
    const MANY: usize = 600;

    thread_local! {
        static SEEN: RefCell<BTreeSet<Vec<u8>>> = const { RefCell::new(BTreeSet::new()) };
    }

    #[test]
    fn mutations_are_many_and_different() {
        smoke(&[b"hello world".to_vec(), vec![0; 40]], 1_000, |bytes| {
            SEEN.with_borrow_mut(|seen| seen.extend([bytes.to_vec()]));
            true
        });
        let seen = SEEN.with_borrow(BTreeSet::len);
        assert!(seen > MANY, "{seen}");
    }
}
