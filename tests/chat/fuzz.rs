//! Runs the seeds of `script/fuzz`: unchanged, and with each byte removed, doubled or replaced.
//! Everything that the fuzzer ever found is a seed.

use crate::world::file;

#[path = "../../fuzz/encrypted.rs"]
mod encrypted;
#[path = "../../fuzz/targets.rs"]
mod targets;

#[test]
fn input_of_strangers_is_parsed_or_refused() {
    type Target = fn(&[u8]);
    for (name, target) in [
        ("request", targets::request as Target),
        ("signature", targets::signature),
        ("cursor", targets::cursor),
        ("frame", targets::frame),
        ("card", encrypted::card),
        ("announcement", encrypted::announcement),
        ("message", encrypted::message),
        ("vault", encrypted::vault),
    ] {
        let mut seeds = 0;
        for seed in std::fs::read_dir(file("fuzz/seeds").join(name)).unwrap() {
            let seed = std::fs::read(seed.unwrap().path()).unwrap();
            seeds += 1;
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
        assert!(seeds > 1, "{name}");
    }
}
