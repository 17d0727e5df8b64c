//! Mutations of an input, from a seed: bytes, numbers, pieces of itself and of others, words of the seeds, repetitions.

/// Random numbers: SplitMix64, so that a seed gives one history on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`; 0 where `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn of<'a>(&mut self, all: &'a [Vec<u8>]) -> &'a [u8] {
        all.get(self.below(all.len())).map_or(&[], Vec::as_slice)
    }
}

/// Texts that parsers stumble over.
const AWKWARD: [&str; 48] = [
    "0",
    "-1",
    "-0",
    "1e999",
    "-1e-999",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "4294967296",
    "0.1e308",
    "NaN",
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "\\u0000",
    "\\ud800",
    "\\udc00\\ud800",
    "\u{0}",
    "\u{feff}",
    "\u{202e}",
    "\u{1f469}\u{200d}\u{1f469}",
    "ß",
    "İ",
    "ſ",
    "\r\n",
    "\n",
    "\t",
    "\"",
    "'",
    "\\",
    "//",
    "../",
    "%00",
    "%2e%2e%2f",
    "%",
    "+",
    "&",
    "=",
    ";",
    ",",
    "{{",
    "}}",
    "{%",
    "9999-12-31T23:59:59.999999999Z",
    "-009999-01-01",
    "0000-00-00T24:60:60+99:99",
];

/// Material of mutations: inputs that are worth something, and words from them.
pub struct Material {
    pub corpus: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
}

impl Material {
    pub fn new(seeds: Vec<Vec<u8>>) -> Self {
        let mut words: Vec<Vec<u8>> = AWKWARD.iter().map(|text| text.as_bytes().to_vec()).collect();
        for seed in &seeds {
            let found = seed.split(|byte| !byte.is_ascii_alphanumeric() && !b"_-.:%".contains(byte));
            words.extend(found.filter(|word| (2..=40).contains(&word.len())).map(<[u8]>::to_vec));
        }
        words.sort();
        words.dedup();
        Self { corpus: seeds, words }
    }

    /// A mutated input of at most `max` bytes.
    pub fn next(&self, random: &mut Random, max: usize) -> Vec<u8> {
        let mut input = random.of(&self.corpus).to_vec();
        for _ in 0..1 << random.below(4) {
            self.mutate(&mut input, random);
            input.truncate(max);
        }
        input
    }

    fn mutate(&self, input: &mut Vec<u8>, random: &mut Random) {
        let at = random.below(input.len() + 1);
        match random.below(12) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = random.next() as u8;
                }
            }
            2 => drop(input.drain(at..(at + 1 + random.below(16)).min(input.len()))),
            3 => input.insert(at, random.next() as u8),
            4 => insert(input, at, random.of(&self.words)),
            5 => {
                // One word for another.
                let is_inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
                let end = at + input[at..].iter().take_while(|byte| is_inner(byte)).count();
                let begin = at - input[..at].iter().rev().take_while(|byte| is_inner(byte)).count();
                input.splice(begin..end, random.of(&self.words).iter().copied());
            }
            6 => {
                let piece = piece(input, random).to_vec();
                insert(input, at, &piece);
            }
            7 => {
                let piece = piece(random.of(&self.corpus), random).to_vec();
                insert(input, at, &piece);
            }
            8 => {
                // What grows, grows by repetition.
                let piece = piece(input, random).to_vec();
                let times = 1usize << random.below(12);
                insert(input, at, &piece.repeat(times.min(64_000 / piece.len().max(1))));
            }
            9 => input.truncate(at),
            10 => {
                let other = random.of(&self.corpus);
                let tail = other.get(random.below(other.len() + 1)..).unwrap_or_default();
                input.truncate(at);
                input.extend_from_slice(tail);
            }
            _ => {
                // A number, bigger or smaller.
                let digits = |byte: &u8| byte.is_ascii_digit();
                if let Some(begin) = input.get(at..).and_then(|rest| rest.iter().position(digits)) {
                    let begin = at + begin;
                    let end = begin + input[begin..].iter().take_while(|byte| digits(byte)).count();
                    let bits = random.below(64);
                    let number = (random.next() >> bits).to_string();
                    input.splice(begin..end, number.bytes());
                }
            }
        }
    }
}

fn insert(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    input.splice(at..at, piece.iter().copied());
}

/// A piece of an input, most often a short one.
fn piece<'a>(input: &'a [u8], random: &mut Random) -> &'a [u8] {
    let begin = random.below(input.len());
    let bits = random.below(10);
    let length = 1 + random.below(1 << bits);
    input.get(begin..(begin + length).min(input.len())).unwrap_or_default()
}
