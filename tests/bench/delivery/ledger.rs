//! What was accepted, what came, and whether every message was the one meant for its reader: each body carries its
//! addressee, a number, the moment of sending and a hash over them, and nothing is believed without it.

use std::collections::HashSet;
use std::time::Instant;

/// Begins and ends the checked part of a body.
const MARK: &[u8] = b"~tb:";
/// Bodies are this long, like a sentence or two.
const BODY_BYTES: usize = 160;

/// What a body says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Body {
    /// 0 = to everyone.
    pub user: u32,
    pub n: u32,
    pub sent_us: u64,
}

/// FNV-1a: enough to notice a mix-up.
fn hash(user: u32, n: u32, sent_us: u64) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for word in [u64::from(user), u64::from(n), sent_us] {
        for byte in word.to_le_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

impl Body {
    pub fn encode(self) -> String {
        let Self { user, n, sent_us } = self;
        let mut text = format!("~tb:{user}:{n}:{sent_us}:{:016x}~", hash(user, n, sent_us));
        while text.len() < BODY_BYTES {
            text.push('.');
        }
        text
    }

    /// The first body in `bytes` and where it ends; `Err` = there is one and it is not right.
    pub fn find(bytes: &[u8]) -> Option<(Result<Self, ()>, usize)> {
        let start = super::wire::find(bytes, MARK)? + MARK.len();
        let length = bytes[start..].iter().position(|byte| *byte == b'~')?;
        let text = std::str::from_utf8(&bytes[start..start + length]).unwrap_or("");
        Some((Self::parse(text).ok_or(()), start + length + 1))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let user = parts.next()?.parse().ok()?;
        let n = parts.next()?.parse().ok()?;
        let sent_us = parts.next()?.parse().ok()?;
        let told = u64::from_str_radix(parts.next()?, 16).ok()?;
        (told == hash(user, n, sent_us)).then_some(Self { user, n, sent_us })
    }
}

/// A set of small numbers.
#[derive(Clone, Default)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// True when it was not there.
    pub fn insert(&mut self, n: u32) -> bool {
        let (word, bit) = (n as usize / 64, 1 << (n % 64));
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// How many of `self` are not in `other`.
    pub fn missing_in(&self, other: &Self) -> usize {
        let word = |at: usize| other.0.get(at).copied().unwrap_or(0);
        self.0.iter().enumerate().map(|(at, bits)| (bits & !word(at)).count_ones() as usize).sum()
    }
}

/// Of one user.
#[derive(Clone, Default)]
struct Account {
    accepted: Bits,
    shown: Bits,
    broadcast: Bits,
    next: u32,
}

/// Of all users; index = user.
pub struct Ledger {
    accounts: Vec<Account>,
    broadcast: Bits,
    ids: HashSet<u128>,
    began: Instant,
    /// Bodies received, repetitions included.
    pub received: usize,
    /// Bodies shown.
    pub shown: usize,
    /// The same message again under the same id, as at-least-once allows: not shown.
    pub repeated: usize,
    /// Shown twice: the same number under another id, or a server without ids sent it again.
    pub doubled: usize,
    /// Somebody else's, or damaged.
    pub wrong: usize,
    /// Offsets that did not rise by one.
    pub gaps: usize,
    /// `recovered: false`.
    pub unrecovered: usize,
    /// Sent → received, milliseconds, raw.
    pub latencies: Vec<f64>,
    pub last_at: Instant,
}

impl Ledger {
    pub fn new(n_users: usize) -> Self {
        let now = Instant::now();
        Self {
            accounts: vec![Account::default(); n_users + 1],
            broadcast: Bits::default(),
            ids: HashSet::new(),
            began: now,
            received: 0,
            shown: 0,
            repeated: 0,
            doubled: 0,
            wrong: 0,
            gaps: 0,
            unrecovered: 0,
            latencies: Vec::new(),
            last_at: now,
        }
    }

    /// The next body for a user (0 = everyone), dated now.
    pub fn next(&mut self, user: u32) -> Body {
        let n = self.accounts[user as usize].next;
        self.accounts[user as usize].next += 1;
        Body { user, n, sent_us: self.began.elapsed().as_micros() as u64 }
    }

    pub fn accepted(&mut self, body: Body) {
        if body.user == 0 {
            self.broadcast.insert(body.n);
        } else {
            self.accounts[body.user as usize].accepted.insert(body.n);
        }
    }

    /// A reader got a body; `id` where the server gives one.
    pub fn received(&mut self, reader: u32, body: Result<Body, ()>, id: Option<u128>) {
        self.received += 1;
        self.last_at = Instant::now();
        let Ok(body) = body else {
            self.wrong += 1;
            return;
        };
        if body.user != 0 && body.user != reader {
            self.wrong += 1;
            return;
        }
        // One id may go to many readers (a message to everyone): it is the reader's key.
        if id.is_some_and(|id| !self.ids.insert(id ^ (u128::from(reader) << 64))) {
            self.repeated += 1;
            return;
        }
        let account = &mut self.accounts[reader as usize];
        let set = if body.user == 0 { &mut account.broadcast } else { &mut account.shown };
        if !set.insert(body.n) {
            self.doubled += 1;
            return;
        }
        self.shown += 1;
        let now_us = self.began.elapsed().as_micros() as u64;
        self.latencies.push(now_us.saturating_sub(body.sent_us) as f64 / 1e3);
    }

    /// Messages accepted, counted per reader; `readers` = users who should get what goes to everyone.
    pub fn n_accepted(&self, readers: &[u32]) -> usize {
        self.accounts.iter().map(|account| account.accepted.len()).sum::<usize>()
            + self.broadcast.len() * readers.len()
    }

    /// Accepted and never shown.
    pub fn lost(&self, readers: &[u32]) -> usize {
        let direct: usize =
            self.accounts.iter().map(|account| account.accepted.missing_in(&account.shown)).sum();
        let broadcast: usize = readers
            .iter()
            .map(|user| self.broadcast.missing_in(&self.accounts[*user as usize].broadcast))
            .sum();
        direct + broadcast
    }

    /// For the next row; what was accepted and shown stays.
    pub fn reset(&mut self) {
        self.latencies.clear();
        (self.received, self.shown, self.repeated, self.doubled) = (0, 0, 0, 0);
        (self.wrong, self.gaps, self.unrecovered) = (0, 0, 0);
    }
}
