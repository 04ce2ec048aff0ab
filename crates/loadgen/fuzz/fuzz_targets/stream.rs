//! Whatever a server sends, the client neither panics nor depends on how the bytes were cut into reads.
//!
//! The first bytes of the input decide the cuts, the rest is the response's body.

#![no_main]

use libfuzzer_sys::fuzz_target;
use loadgen::timeline::{Ending, Reading, Timeline};
use records::Offset;

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Reading {
    let mut timeline = Timeline::new(Offset(7));
    for (number, piece) in (8..).zip(pieces) {
        timeline.read(Offset(number), piece);
    }
    let mut reading = timeline.end(Ending::Whole);
    // How many chunks shared a read shows in the stamps only.
    reading.chunks.since_sent_ns.fill(0);
    reading.first_output_ns = reading.first_output_ns.map(|_| Offset(0));
    reading
}

fuzz_target!(|input: &[u8]| {
    let (cuts, body) = input.split_at(input.len().min(4));
    let mut rest = body;
    let mut sizes = cuts.iter().cycle();
    let pieces = std::iter::from_fn(|| {
        let size = usize::from(*sizes.next()?) % 61 + 1;
        let (piece, after) = rest.split_at_checked(size.min(rest.len()))?;
        rest = after;
        (!piece.is_empty()).then_some(piece)
    });
    assert_eq!(read(pieces), read(std::iter::once(body)));
});
