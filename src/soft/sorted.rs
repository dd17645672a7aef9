//! Small tables in the order of their keys, each a vector, and sorting. The tables of the standard library are trees, which take
//! the compiler many times as long for each type of keys and values, and pay off from thousands of entries on that come in any
//! order; its sorting is compiled anew for each type, too.

use std::cmp::Ordering;

/// Sorts. What is equal stays in its order.
pub(crate) fn sort<T: Ord>(all: &mut [T]) {
    sort_by(all, &T::cmp);
}

/// Sorts by a key. What has the same key stays in its order.
pub(crate) fn sort_by_key<T, K: Ord>(all: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(all, &|a, b| key(a).cmp(&key(b)));
}

/// The most entries that are sorted in place, without an allocation.
const FEW: usize = 8;

fn sort_by<T>(all: &mut [T], compare: &dyn Fn(&T, &T) -> Ordering) {
    if all.len() <= FEW {
        for end in 1..all.len() {
            let mut at = end;
            while at > 0 && compare(&all[at - 1], &all[at]).is_gt() {
                all.swap(at - 1, at);
                at -= 1;
            }
        }
        return;
    }
    let mut order = order_of(all.len(), &|a, b| compare(&all[a], &all[b]));
    // Each place gets what belongs there, from where it was swapped to meanwhile.
    for place in 0..all.len() {
        let mut from = order[place];
        while from < place {
            from = order[from];
        }
        order[place] = from;
        all.swap(place, from);
    }
}

/// The indices of that many entries in the order of the entries.
fn order_of(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&a, &b| compare(a, b));
    order
}

/// A table by keys, in their order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SortedMap<K, V>(Vec<(K, V)>);

/// Keys in their order, each once.
#[derive(Clone, Debug)]
pub(crate) struct SortedSet<K>(Vec<K>);

impl<K, V> SortedMap<K, V> {
    /// An empty table.
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// The number of entries.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &(K, V)> + Clone {
        self.0.iter()
    }

    /// The keys.
    pub(crate) fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + Clone {
        self.0.iter().map(|(key, _)| key)
    }

    /// The values.
    pub(crate) fn values(&self) -> impl DoubleEndedIterator<Item = &V> + Clone {
        self.0.iter().map(|(_, value)| value)
    }

    /// The first entry, which is removed.
    pub(crate) fn pop_first(&mut self) -> Option<(K, V)> {
        (!self.is_empty()).then(|| self.0.remove(0))
    }

    /// The value of a key that is there.
    #[track_caller]
    pub(crate) fn at(&self, key: &K) -> &V
    where
        K: Ord,
    {
        self.get(key).expect("the key is there")
    }

    /// Removes the entries for which `keep` is false.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.0.retain(|(key, value)| keep(key, value));
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    /// The index of a key's entry, or that at which it would be.
    fn find(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.cmp(key))
    }

    /// The entries whose keys are less than `key`.
    pub(crate) fn before(&self, key: &K) -> &[(K, V)] {
        &self.0[..self.find(key).unwrap_or_else(|at| at)]
    }

    /// The entries whose keys are `key` or greater.
    pub(crate) fn not_before(&self, key: &K) -> &[(K, V)] {
        &self.0[self.before(key).len()..]
    }

    /// The last entry whose key is `key` or less.
    pub(crate) fn last_up_to(&self, key: &K) -> Option<&(K, V)> {
        self.0[..self.find(key).map_or_else(|at| at, |at| at + 1)].last()
    }

    /// The same, to be changed. The key stays.
    pub(crate) fn last_up_to_mut(&mut self, key: &K) -> Option<&mut (K, V)> {
        let end = self.find(key).map_or_else(|at| at, |at| at + 1);
        self.0[..end].last_mut()
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.find(key).ok().map(|at| &self.0[at].1)
    }

    /// The value of a key, to be changed.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.find(key).ok().map(|at| &mut self.0[at].1)
    }

    /// Whether a key is there.
    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.find(key).is_ok()
    }

    /// The value of a key, which is added if it is not there.
    pub(crate) fn get_or_insert_with(&mut self, key: K, value: impl FnOnce() -> V) -> &mut V {
        let at = self.find(&key).unwrap_or_else(|at| {
            self.0.insert(at, (key, value()));
            at
        });
        &mut self.0[at].1
    }

    /// Sets the value of a key, and returns the old one.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                self.0.insert(at, (key, value));
                None
            }
        }
    }

    /// Removes a key, and returns its value.
    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.find(key).ok().map(|at| self.0.remove(at).1)
    }
}

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, V> IntoIterator for SortedMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for SortedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        entries.into_iter().for_each(|(key, value)| drop(map.insert(key, value)));
        map
    }
}

impl<K: Ord> SortedSet<K> {
    /// An empty set.
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a key. Returns whether it is new.
    pub(crate) fn insert(&mut self, key: K) -> bool {
        let at = self.0.binary_search(&key);
        at.map_err(|at| self.0.insert(at, key)).is_err()
    }

    /// Whether a key is there.
    pub(crate) fn contains(&self, key: &K) -> bool {
        self.0.binary_search(key).is_ok()
    }

    /// The keys.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, K> {
        self.0.iter()
    }
}

impl<K: Ord> Default for SortedSet<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord> FromIterator<K> for SortedSet<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut set = Self::new();
        keys.into_iter().for_each(|key| _ = set.insert(key));
        set
    }
}

impl<'a, K> IntoIterator for &'a SortedSet<K> {
    type Item = &'a K;
    type IntoIter = std::slice::Iter<'a, K>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<K> IntoIterator for SortedSet<K> {
    type Item = K;
    type IntoIter = std::vec::IntoIter<K>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// As the standard library sorts.
    #[test]
    fn sorting_keeps_the_order_of_what_is_equal() {
        for count in [0, 1, 2, 3, 8, 9, 20, 100] {
            let mut ours: Vec<(usize, usize)> = (0..count).map(|at| (at * 7 % 5, at)).collect();
            let mut theirs = ours.clone();
            sort_by_key(&mut ours, |one| one.0);
            theirs.sort_by_key(|one| one.0);
            assert_eq!(ours, theirs);
            sort(&mut ours[count / 2..]);
            theirs[count / 2..].sort();
            assert_eq!(ours, theirs);
        }
    }

    /// Whatever is done to both, the table has what the standard library's has, in the same order.
    #[test]
    fn a_table_has_what_a_tree_has() {
        let (mut ours, mut tree) = (SortedMap::new(), BTreeMap::new());
        let mut state = 1u32;
        for step in 0..3000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let key = state >> 26;
            match state >> 8 & 3 {
                0 => assert_eq!(ours.insert(key, step), tree.insert(key, step)),
                1 => assert_eq!(ours.remove(&key), tree.remove(&key)),
                2 => {
                    *ours.get_or_insert_with(key, || step) += 1;
                    *tree.entry(key).or_insert(step) += 1;
                }
                _ => {
                    assert_eq!(ours.get(&key), tree.get(&key));
                    let pair = |(key, value): (&u32, &i32)| (*key, *value);
                    let below = tree.range(..key).next_back().map(pair);
                    assert_eq!(ours.before(&key).last().copied(), below);
                    let up_to = tree.range(..=key).next_back().map(pair);
                    assert_eq!(ours.last_up_to(&key).copied(), up_to);
                    assert_eq!(
                        ours.not_before(&key).first().copied(),
                        tree.range(key..).next().map(pair)
                    );
                }
            }
            assert!(ours.iter().map(|(key, value)| (key, value)).eq(&tree), "step {step}");
        }
        assert_eq!(ours.pop_first(), tree.pop_first());
        ours.retain(|key, _| key % 2 == 0);
        tree.retain(|key, _| key % 2 == 0);
        assert_eq!(ours, tree.iter().rev().map(|(key, value)| (*key, *value)).collect());
        let mut set: SortedSet<u32> = tree.keys().rev().chain(tree.keys()).copied().collect();
        assert!(set.iter().eq(tree.keys()));
        let new = [1, 2, 2].map(|key| set.insert(key) == tree.insert(key, 0).is_none());
        assert_eq!((new, set.contains(&1), set.contains(&3)), ([true; 3], true, false));
        assert!(set.into_iter().eq(tree.into_keys()));
    }
}
