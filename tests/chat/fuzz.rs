//! Runs the seeds of `script/fuzz`: unchanged, with each byte removed, doubled or replaced, and with
//! several random changes, the same each time. Everything that the fuzzer ever found is a seed.

use crate::world::file;

#[path = "../../fuzz/encrypted.rs"]
mod encrypted;
#[path = "../../fuzz/targets.rs"]
mod targets;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 11] = [
    ("request", targets::request),
    ("signature", targets::signature),
    ("cursor", targets::cursor),
    ("frame", targets::frame),
    ("card", encrypted::card),
    ("announcement", encrypted::announcement),
    ("message", encrypted::message),
    ("vault", encrypted::vault),
    ("log", encrypted::log),
    ("file", encrypted::file),
    ("link", encrypted::link),
];

/// Random inputs for each target.
const INPUTS: usize = 2_000;

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let seeds = std::fs::read_dir(file("fuzz/seeds").join(name)).unwrap();
    let mut seeds: Vec<_> = seeds.map(|seed| seed.unwrap().path()).collect();
    // In the same order on each machine.
    seeds.sort();
    assert!(seeds.len() > 1, "{name}");
    seeds
        .iter()
        .map(|seed| std::fs::read(seed).unwrap())
        .collect()
}

#[test]
fn each_target_is_a_program_that_is_run_every_night() {
    let programs = std::fs::read_dir(file("fuzz/fuzz_targets")).unwrap();
    let programs = programs.map(|program| program.unwrap().file_name());
    let mut programs: Vec<_> = programs
        .map(|name| name.into_string().unwrap().replace(".rs", ""))
        .collect();
    let mut targets = TARGETS.map(|(name, _)| name);
    programs.sort();
    targets.sort_unstable();
    assert_eq!(programs, targets);
    let read = |name| std::fs::read_to_string(file(name)).unwrap();
    let (manifest, nightly) = (
        read("fuzz/Cargo.toml"),
        read(".github/workflows/nightly.yml"),
    );
    let nightly = nightly.lines().find(|line| line.contains("target: ["));
    let nightly = nightly.unwrap().replace([',', '[', ']'], " ");
    for name in targets {
        let program = format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n");
        assert!(manifest.contains(&program), "{name}");
        assert!(nightly.split(' ').any(|word| word == name), "{name}");
    }
}

#[test]
fn input_of_strangers_is_parsed_or_refused() {
    for (name, target) in TARGETS {
        for seed in seeds(name) {
            target(&seed);
            for place in 0..seed.len() {
                target(&seed[..place]);
                let mut other = seed.clone();
                other.remove(place);
                target(&other);
                other.splice(place..place, [seed[place], seed[place]]);
                target(&other);
                for byte in [0, b'"', b'9', 0xff, !seed[place]] {
                    other.clone_from(&seed);
                    other[place] = byte;
                    target(&other);
                }
            }
        }
    }
}

/// Numbers that look like random ones, the same each time.
struct Random(u64);

impl Random {
    /// A number below this one.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end.max(1)
    }

    /// A range of at most 16 bytes within this length.
    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let from = self.below(len + 1);
        from..len.min(from + self.below(17))
    }

    /// Changes something: bits, bytes that parsers look for, numbers that are too large, or a piece of
    /// another seed.
    fn change(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        const WORDS: [&[u8]; 12] = [
            b"\0",
            b"\n",
            b"\"",
            b"{",
            b"]",
            b",",
            b"-1",
            b"1e9",
            b"\\u0000",
            b"\xc3\x28",
            b"9223372036854775808",
            b"null",
        ];
        let range = self.range(input.len());
        match self.below(5) {
            0 => {
                if let Some(byte) = input.get_mut(range.start) {
                    *byte ^= 1 << self.below(8);
                }
            }
            1 => drop(input.drain(range)),
            2 => {
                let again = input[range.clone()].to_vec();
                input.splice(range.end..range.end, again);
            }
            3 => {
                let word = WORDS[self.below(WORDS.len())];
                input.splice(range, word.iter().copied());
            }
            _ => {
                let other = &seeds[self.below(seeds.len())];
                let piece = self.range(other.len());
                input.splice(range, other[piece].iter().copied());
            }
        }
    }
}

#[test]
fn random_input_of_strangers_is_parsed_or_refused() {
    for (name, target) in TARGETS {
        let (seeds, mut random) = (seeds(name), Random(20));
        for _ in 0..INPUTS {
            let mut input = seeds[random.below(seeds.len())].clone();
            for _ in 0..=random.below(4) {
                random.change(&mut input, &seeds);
            }
            target(&input);
        }
    }
}
