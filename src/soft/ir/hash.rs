//! Tables by keys of the compiler's own: numbers of values and variables, instructions, names. Those of the standard library
//! resist keys that an attacker chooses, and are generic down to the search, which takes long in a debug build; here
//! only the comparison of keys is generic. Texts are hashed with a random number of the process; other keys are not, not even
//! constants of a program. Entries are in the order of insertion, until one is removed.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::OnceLock;

/// A table by such keys.
#[derive(Clone)]
pub(crate) struct FastMap<K, V> {
    entries: Vec<(K, V)>,
    places: Places,
}

/// Where the entries of a table are, by the hashes of their keys: open addressing with linear probing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// For each slot, the number of its entry plus one, or 0 if it is free. Their number is a power of two, and at most half
    /// of them are used.
    slots: Vec<u32>,
    /// The hash of each entry.
    hashes: Vec<u32>,
}

/// A search in progress.
pub(crate) struct Search {
    hash: u32,
    slot: usize,
}

impl Search {
    /// The search for entries with a hash.
    #[inline]
    pub(crate) fn of(hash: u32) -> Self {
        Self { hash, slot: hash as usize }
    }
}

impl Places {
    /// The number of the next entry that has the hash.
    pub(crate) fn next(&self, search: &mut Search) -> Option<usize> {
        let (slots, hashes) = (&self.slots[..], &self.hashes[..]);
        if slots.is_empty() {
            return None;
        }
        let mask = slots.len() - 1;
        loop {
            let slot = slots[search.slot & mask] as usize;
            search.slot += 1;
            if slot == 0 {
                return None;
            }
            if hashes[slot - 1] == search.hash {
                return Some(slot - 1);
            }
        }
    }

    /// Adds the next entry, whose key has this hash.
    pub(crate) fn push(&mut self, hash: u32) {
        self.hashes.push(hash);
        let number = self.hashes.len();
        if number * 2 > self.slots.len() {
            let length = if number <= 4 { 8 } else { number * 4 };
            self.slots = vec![0; length.next_power_of_two()];
            for at in 0..number {
                self.put(at);
            }
        } else {
            self.put(number - 1);
        }
    }

    /// Puts an entry into the first free slot from its own.
    fn put(&mut self, number: usize) {
        let slots = &mut self.slots[..];
        let mask = slots.len() - 1;
        let mut slot = self.hashes[number] as usize & mask;
        while slots[slot] != 0 {
            slot = (slot + 1) & mask;
        }
        slots[slot] = number as u32 + 1;
    }

    /// The slot of an entry.
    fn slot_of(&self, number: usize) -> usize {
        let slots = &self.slots[..];
        let mask = slots.len() - 1;
        let mut slot = self.hashes[number] as usize & mask;
        while slots[slot] as usize != number + 1 {
            slot = (slot + 1) & mask;
        }
        slot
    }

    /// Removes an entry: the last one takes its number.
    fn swap_remove(&mut self, number: usize) {
        let last = self.hashes.len() - 1;
        let mut free = self.slot_of(number);
        let moved = self.slot_of(last);
        self.slots[moved] = number as u32 + 1;
        self.hashes.swap_remove(number);
        // The entries that follow move up, unless that would be before their own slots.
        let slots = &mut self.slots[..];
        let mask = slots.len() - 1;
        slots[free] = 0;
        let mut slot = free;
        loop {
            slot = (slot + 1) & mask;
            if slots[slot] == 0 {
                return;
            }
            let own = self.hashes[slots[slot] as usize - 1] as usize & mask;
            if slot.wrapping_sub(own) & mask >= slot.wrapping_sub(free) & mask {
                slots[free] = slots[slot];
                slots[slot] = 0;
                free = slot;
            }
        }
    }

    fn clear(&mut self) {
        // Few entries in a table that was larger: only their slots.
        if self.hashes.len() * 8 < self.slots.len() {
            while let Some(last) = self.hashes.len().checked_sub(1) {
                let slot = self.slot_of(last);
                self.slots[slot] = 0;
                self.hashes.truncate(last);
            }
            return;
        }
        self.hashes.clear();
        self.slots.fill(0);
    }
}

/// The hash of a key.
pub(crate) fn hash_of<Q: Hash + ?Sized>(key: &Q) -> u32 {
    let mut mixer = Mixer(0);
    key.hash(&mut mixer);
    mixer.short()
}

/// The hash of a text and of a number that the author of the text does not know.
pub(crate) fn hash_of_text(text: &str, seed: u64) -> u32 {
    let mut mixer = Mixer(seed);
    mixer.write(text.as_bytes());
    mixer.short()
}

/// A random number, the same for all of the process.
pub(crate) fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| RandomState::new().build_hasher().finish())
}

impl<K, V> Default for FastMap<K, V> {
    fn default() -> Self {
        Self { entries: Vec::new(), places: Places::default() }
    }
}

impl<K: std::fmt::Debug, V: std::fmt::Debug> std::fmt::Debug for FastMap<K, V> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_map().entries(self.iter()).finish()
    }
}

impl<K, V> FastMap<K, V> {
    /// The number of entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// All keys.
    pub(crate) fn keys(&self) -> impl ExactSizeIterator<Item = &K> {
        self.entries.iter().map(|(key, _)| key)
    }

    /// All values.
    pub(crate) fn values(&self) -> impl ExactSizeIterator<Item = &V> {
        self.entries.iter().map(|(_, value)| value)
    }

    /// All values, to change them.
    pub(crate) fn values_mut(&mut self) -> impl ExactSizeIterator<Item = &mut V> {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    /// Removes the entries that a function does not keep.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        let mut at = self.entries.len();
        while at > 0 {
            at -= 1;
            let (key, value) = &mut self.entries[at];
            if !keep(key, value) {
                self.places.swap_remove(at);
                self.entries.swap_remove(at);
            }
        }
    }

    /// Removes all entries.
    pub(crate) fn clear(&mut self) {
        if !self.entries.is_empty() {
            self.entries.clear();
            self.places.clear();
        }
    }
}

impl<K: Hash + Eq, V> FastMap<K, V> {
    /// The number of an entry.
    fn find<Q: Hash + Eq + ?Sized>(&self, key: &Q, hash: u32) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        let mut search = Search::of(hash);
        while let Some(at) = self.places.next(&mut search) {
            if self.entries[at].0.borrow() == key {
                return Some(at);
            }
        }
        None
    }

    fn at<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<usize>
    where
        K: Borrow<Q>,
    {
        // Many tables stay empty.
        if self.entries.is_empty() { None } else { self.find(key, hash_of(key)) }
    }

    /// The value of a key.
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        match self.at(key) {
            Some(at) => Some(&self.entries[at].1),
            None => None,
        }
    }

    /// The same with the key's [`hash_of`], where several tables are searched for one key.
    pub(crate) fn get_by_hash(&self, key: &K, hash: u32) -> Option<&V> {
        if self.entries.is_empty() {
            return None;
        }
        match self.find(key, hash) {
            Some(at) => Some(&self.entries[at].1),
            None => None,
        }
    }

    /// The same, to change it.
    pub(crate) fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        match self.at(key) {
            Some(at) => Some(&mut self.entries[at].1),
            None => None,
        }
    }

    /// Whether there is a value of a key.
    pub(crate) fn contains_key<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.at(key).is_some()
    }

    /// Sets the value of a key, and returns the one before.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let hash = hash_of(&key);
        match self.find(&key, hash) {
            Some(at) => Some(std::mem::replace(&mut self.entries[at].1, value)),
            None => {
                self.push(hash, key, value);
                None
            }
        }
    }

    fn push(&mut self, hash: u32, key: K, value: V) {
        self.places.push(hash);
        self.entries.push((key, value));
    }

    /// Removes the entry of a key, and returns its value.
    pub(crate) fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let at = self.at(key)?;
        self.places.swap_remove(at);
        Some(self.entries.swap_remove(at).1)
    }

    /// The entry of a key, which may have to be added.
    pub(crate) fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        let hash = hash_of(&key);
        let at = self.find(&key, hash);
        Entry { map: self, key, hash, at }
    }
}

/// An entry that may have to be added.
pub(crate) struct Entry<'a, K, V> {
    map: &'a mut FastMap<K, V>,
    key: K,
    hash: u32,
    at: Option<usize>,
}

impl<'a, K: Hash + Eq, V> Entry<'a, K, V> {
    /// The value, or the one that the function makes.
    pub(crate) fn or_insert_with(self, value: impl FnOnce() -> V) -> &'a mut V {
        let at = match self.at {
            Some(at) => at,
            None => {
                self.map.push(self.hash, self.key, value());
                self.map.entries.len() - 1
            }
        };
        &mut self.map.entries[at].1
    }

    /// The value, or this one.
    pub(crate) fn or_insert(self, value: V) -> &'a mut V {
        self.or_insert_with(|| value)
    }

    /// The value, or the type's default.
    pub(crate) fn or_default(self) -> &'a mut V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }
}

impl<K: Hash + Eq, V> Extend<(K, V)> for FastMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Hash + Eq, V> FromIterator<(K, V)> for FastMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        map.extend(entries);
        map
    }
}

impl<K, V> IntoIterator for FastMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'a, K, V> IntoIterator for &'a FastMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = std::iter::Map<std::slice::Iter<'a, (K, V)>, fn(&'a (K, V)) -> Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter().map(|(key, value)| (key, value))
    }
}

impl<K: Hash + Eq, V, Q: Hash + Eq + ?Sized> std::ops::Index<&Q> for FastMap<K, V>
where
    K: Borrow<Q>,
{
    type Output = V;

    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("the table has the key")
    }
}

/// A set of such keys.
#[derive(Clone)]
pub(crate) struct FastSet<K>(FastMap<K, ()>);

impl<K> Default for FastSet<K> {
    fn default() -> Self {
        Self(FastMap::default())
    }
}

impl<K: std::fmt::Debug> std::fmt::Debug for FastSet<K> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_set().entries(self.iter()).finish()
    }
}

impl<K> FastSet<K> {
    /// The number of keys.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All keys.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &K> {
        self.0.keys()
    }

    /// Removes all keys.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl<K: Hash + Eq> FastSet<K> {
    /// Adds a key; whether it is new.
    pub(crate) fn insert(&mut self, key: K) -> bool {
        self.0.insert(key, ()).is_none()
    }

    /// Whether the set has a key.
    pub(crate) fn contains<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.contains_key(key)
    }

    /// Removes a key; whether the set had it.
    pub(crate) fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.remove(key).is_some()
    }
}

impl<K: Hash + Eq> Extend<K> for FastSet<K> {
    fn extend<I: IntoIterator<Item = K>>(&mut self, keys: I) {
        for key in keys {
            self.insert(key);
        }
    }
}

impl<K: Hash + Eq> FromIterator<K> for FastSet<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut set = Self::default();
        set.extend(keys);
        set
    }
}

impl<K> IntoIterator for FastSet<K> {
    type Item = K;
    type IntoIter = std::iter::Map<std::vec::IntoIter<(K, ())>, fn((K, ())) -> K>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|(key, ())| key)
    }
}

/// Multiplies each number in, and folds the product, so that every bit of a key reaches every bit of its hash.
#[derive(Clone, Copy, Debug, Default)]
struct Mixer(u64);

/// An odd number without a pattern: the fraction of the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Mixer {
    /// The upper half: folding the lower one in would cancel some keys whose halves are alike.
    fn short(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let [a, b, c, d, e, f, g, h, after @ ..] = rest {
            self.write_u64(u64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]));
            rest = after;
        }
        let mut last = bytes.len() as u64;
        while let [byte, after @ ..] = rest {
            last = last << 8 | *byte as u64;
            rest = after;
        }
        self.write_u64(last);
    }

    #[inline]
    fn write_u8(&mut self, number: u8) {
        self.write_u64(number as u64);
    }

    #[inline]
    fn write_u32(&mut self, number: u32) {
        self.write_u64(number as u64);
    }

    #[inline]
    fn write_u64(&mut self, number: u64) {
        // The sum keeps a zero from making the hash zero whatever came before it.
        let mixed = self.0.rotate_left(23) ^ number.wrapping_add(FACTOR);
        let product = (mixed as u128).wrapping_mul(FACTOR as u128);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    #[inline]
    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    #[test]
    fn regular_keys_spread_over_a_table() {
        let keys: [fn(u64) -> u32; 8] = [
            |at| hash_of(&(at as u32)),
            |at| hash_of(&(at << 40)),
            |at| hash_of(&(7u8, at * 4096)),
            |at| hash_of(&(at as u32, 0u64, [1u32, 2])),
            |at| hash_of_text(&format!("value{at}"), 0),
            |at| hash_of(&(at << 32 | at)),
            |at| hash_of(&((at + 1) << 32 | at)),
            |at| hash_of(&(at * 0x0001_0001_0001_0001)),
        ];
        for (number, key) in keys.into_iter().enumerate() {
            let mut buckets = vec![0; 4096];
            (0..4096).for_each(|at| buckets[(key(at) & 4095) as usize] += 1);
            let most = buckets.iter().max().unwrap();
            assert!(*most < 12, "keys {number}: {most} of 4096 in one bucket");
        }
    }

    /// A key whose hash is one of four: entries collide, and wrap around the end of the slots.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    struct Colliding(u32);

    impl Hash for Colliding {
        fn hash<H: Hasher>(&self, state: &mut H) {
            state.write_u32(self.0 % 4);
        }
    }

    #[test]
    fn a_table_has_what_the_standard_one_has() {
        let mut state = 1u64;
        let mut random = move |below: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as u32 % below
        };
        for round in 0..200 {
            let keys = 1 + random(if round % 8 == 7 { 400 } else { 60 });
            let (mut map, mut want) = (FastMap::default(), HashMap::new());
            let (mut set, mut members) = (FastSet::default(), HashSet::new());
            for step in 0..if keys > 60 { 2000 } else { 300 } {
                let key = random(keys);
                match random(8) {
                    0..3 => {
                        assert_eq!(map.insert(Colliding(key), step), want.insert(key, step));
                        assert_eq!(set.insert(key), members.insert(key));
                    }
                    3 | 4 => {
                        assert_eq!(map.remove(&Colliding(key)), want.remove(&key));
                        assert_eq!(set.remove(&key), members.remove(&key));
                    }
                    5 => {
                        *map.entry(Colliding(key)).or_insert(7) += 1;
                        *want.entry(key).or_insert(7) += 1;
                    }
                    6 if step == 150 && round % 4 == 0 => {
                        map.clear();
                        want.clear();
                    }
                    6 if step % 50 == 7 => {
                        map.retain(|key, value| key.0 % 3 != 0 && *value != 7);
                        want.retain(|key, value| key % 3 != 0 && *value != 7);
                        // Few of the entries that the table had: `clear` empties their slots.
                        if set.len() > 8 {
                            let few: Vec<u32> = members.drain().take(2).collect();
                            set.clear();
                            few.iter().for_each(|&key| assert!(set.insert(key)));
                            members.extend(few);
                            set.clear();
                            members.clear();
                        }
                    }
                    _ => {
                        if let Some(value) = map.get_mut(&Colliding(key)) {
                            *value += 1;
                        }
                        want.entry(key).and_modify(|value| *value += 1);
                    }
                }
                assert_eq!((map.len(), set.len()), (want.len(), members.len()));
            }
            for key in 0..keys {
                assert_eq!(map.get(&Colliding(key)), want.get(&key), "round {round}");
                assert_eq!(set.contains(&key), members.contains(&key), "round {round}");
            }
            assert!(map.iter().all(|(key, value)| want.get(&key.0) == Some(value)));
        }
    }

    #[test]
    fn entries_are_in_the_order_of_insertion() {
        let mut map: FastMap<u32, &str> = [(9, "a"), (2, "b"), (5, "c")].into_iter().collect();
        map.insert(2, "d");
        map.extend([(1, "e")]);
        assert_eq!(map.keys().copied().collect::<Vec<_>>(), [9, 2, 5, 1]);
        assert_eq!(map.into_iter().map(|(_, value)| value).collect::<String>(), "adce");
    }
}
