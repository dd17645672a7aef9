//! Loops that access memory at addresses that rise evenly: whether bounds are checked before the loop or in it, results and
//! faults are those of a model that runs one thread after the other and checks each access.

use super::guarded::{Buffers, kernel};
use crate::child::in_child;
use crate::soft::cpu::Way;
use crate::soft::kernel::FaultKind;
use crate::test_random::Random;

/// Threads along x and y.
const GRID: [u32; 3] = [64, 2, 1];
/// Iterations after which every loop ends.
const TURNS: u32 = 40;

/// An access in the loop: at `(k * by + x * lane + y * row + add) + more + base` of scalars, or of vectors.
#[derive(Clone, Debug)]
struct Touch {
    /// Bytes of a scalar.
    scalar: u32,
    by: i64,
    /// The factor is in memory, where the compiler does not see it.
    hidden: bool,
    lane: u32,
    row: u32,
    add: i64,
    /// Words of a vector.
    width: u32,
    /// The part in parentheses is computed in 64 bits, as the rest is.
    wide: bool,
    more: i64,
    /// A number in memory.
    base: i64,
    write: bool,
    /// Only in odd iterations.
    odd: bool,
}

/// A loop over `k`.
#[derive(Clone, Debug)]
struct Case {
    /// Whether the counter is signed, and whether it has 64 bits.
    signed: bool,
    long: bool,
    from: i64,
    limit: i64,
    step: i64,
    /// `<`, `<=`, `>` or `>=`.
    test: &'static str,
    /// The loop ends in the iteration with this counter, before or after the first access.
    leave: Option<(i64, bool)>,
    touches: Vec<Touch>,
    /// Bytes of the memory that is read, and of that which is written.
    bytes: [u64; 2],
    group: [u32; 3],
}

/// The first access of a thread that is out of bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bad {
    offset: i64,
    bytes: u32,
    write: bool,
}

impl Case {
    fn random(random: &mut Random) -> Self {
        let signed = random.chance(40);
        let step = random.pick(&[1i64, 1, 1, 2, 4, 3, 8]);
        let down = random.chance(30);
        let near = |random: &mut Random| random.below(40) as i64;
        // Counters that begin near zero, near the end of their type, or near its beginning.
        let edge = if signed { i64::from(i32::MAX) } else { i64::from(u32::MAX) };
        let (mut from, mut limit) = match random.below(8) {
            0 => (edge - near(random), edge - near(random)),
            1 if signed => (-near(random), near(random)),
            2 => (near(random), edge - near(random)),
            _ => (near(random) / 4, near(random)),
        };
        if down {
            (from, limit) = (limit, if random.chance(50) { 0 } else { from });
        }
        let touch = |random: &mut Random| Touch {
            scalar: random.pick(&[4, 4, 4, 1, 2]),
            by: random.pick(&[1i64, 1, 1, 2, 3, 0, -1, -2, 16, 1 << 30]),
            hidden: random.chance(40),
            lane: random.pick(&[0, 0, 1, 1, 1, 2, 3]),
            row: random.pick(&[0, 0, 1, 64]),
            add: random.pick(&[0i64, 0, 1, 2, 5, 40, -1, -40, 1 << 31, -(1 << 30)]),
            width: random.pick(&[1, 1, 1, 2, 4]),
            wide: random.chance(25),
            more: random.pick(&[0, 0, 0, 1, -1, 1 << 32]),
            base: random.pick(&[0, 0, 0, 2, -(1 << 32), 40 - edge]),
            write: random.chance(30),
            odd: random.chance(20),
        };
        let mut touches = vec![touch(random)];
        for _ in 0..random.below(3) {
            // Those that differ by constants are checked together.
            let like = touches[0].clone();
            let near = random.below(5) as i64 - 2;
            touches.push(match random.below(4) {
                0 => Touch { add: like.add + near, ..like },
                1 => Touch { add: like.add + near, more: like.more - near, ..like },
                _ => touch(random),
            });
        }
        for touch in &mut touches {
            touch.scalar = if touch.width == 1 { touch.scalar } else { 4 };
        }
        let bytes = [0; 2].map(|_: i32| match random.below(6) {
            0 => random.below(64) as u64,
            1 => 4096,
            2 => 1 << 16,
            _ => 16 * random.below(70) as u64 + random.below(5) as u64,
        });
        let leave = random.chance(25).then(|| (from + near(random) / 3, random.chance(50)));
        let group = random.pick(&[[32, 2, 1], [64, 1, 1], [16, 2, 1], [8, 2, 1], [5, 1, 1]]);
        let test = match (down, random.chance(50)) {
            (false, true) => "<",
            (false, false) => "<=",
            (true, true) => ">",
            (true, false) => ">=",
        };
        Self {
            signed,
            long: false,
            from,
            limit,
            step: if down { -step } else { step },
            test,
            leave,
            touches,
            bytes,
            group,
        }
    }

    /// The kernel; `p` has what is hidden: start, limit, and the factors and bases of accesses.
    fn text(&self) -> String {
        let ty = self.counter();
        let (mut body, mut bases) = (String::new(), String::new());
        for (number, touch) in self.touches.iter().enumerate() {
            let wide = if touch.wide { "long" } else { ty };
            let by = match touch.hidden {
                // Loaded before the loop: what is loaded in it does not rise evenly.
                true => {
                    bases += &format!("const {ty} f{number} = {ty}(p[{}]); ", 3 * number + 4);
                    format!("{wide}(f{number})")
                }
                false => format!("{wide}({})", touch.by),
            };
            let mut at = format!(
                "{wide}(k) * {by} + {wide}(g.x * {}u) + {wide}(g.y * {}u) + {wide}({})",
                touch.lane, touch.row, touch.add
            );
            if (touch.more, touch.base) != (0, 0) {
                at = format!("long({at}) + {}l", touch.more);
            }
            if touch.base != 0 {
                // Touches with equal bases share the variable, so that they differ by constants only.
                let first = self.touches.iter().position(|other| other.base == touch.base);
                let first = first.unwrap_or(number);
                at += &format!(" + b{first}");
                if first == number {
                    let low = 3 * number + 5;
                    bases += &format!(
                        "const long b{number} = long(ulong(p[{low}]) | ulong(p[{}]) << 32); ",
                        low + 1
                    );
                }
            }
            let element = match touch.scalar {
                1 => "uchar".to_owned(),
                2 => "ushort".to_owned(),
                _ if touch.width == 1 => "uint".to_owned(),
                _ => format!("packed_uint{}", touch.width),
            };
            let access = match touch.write {
                true => format!("((device {element} *)w)[{at}] = {element}(7u);"),
                false if touch.width == 1 => {
                    format!("s = s * 31u + ((device const {element} *)a)[{at}];")
                }
                false => format!(
                    "{{ {element} v = ((device const {element} *)a)[{at}]; s = s * 31u + v[0] + v[{}]; }}",
                    touch.width - 1
                ),
            };
            let access =
                if touch.odd { format!("if ((k & 1) != 0) {{ {access} }}") } else { access };
            let leave = |first: bool| match self.leave {
                Some((at, before)) if number == 0 && before == first => {
                    format!("if (k == {ty}({at}ll)) {{ break; }} ")
                }
                _ => String::new(),
            };
            body += &format!("{}{access} {}", leave(true), leave(false));
        }
        format!(
            "#include <metal_stdlib>\nusing namespace metal;\nkernel void k(device uint *out [[buffer(0)]], \
             device const uint *a [[buffer(1)]], device uint *w [[buffer(2)]], constant uint *p [[buffer(3)]], \
             uint3 g [[thread_position_in_grid]]) {{ uint s = 1; uint turns = 0; {bases}\
             const {ty} from = {ty}(ulong(p[0]) | ulong(p[1]) << 32), limit = {ty}(ulong(p[2]) | ulong(p[3]) << 32); \
             for ({ty} k = from; k {} limit; k += {ty}({})) {{ {body} \
             turns++; if (turns >= {TURNS}u) {{ break; }} }} out[g.y * 64 + g.x] = s; }}",
            self.test, self.step
        )
    }

    /// The type of the counter.
    fn counter(&self) -> &'static str {
        match (self.signed, self.long) {
            (true, false) => "int",
            (false, false) => "uint",
            (true, true) => "long",
            (false, true) => "ulong",
        }
    }

    /// A number in the counter's type. No test has those that only fit in `ulong`.
    fn wrap(&self, number: i64) -> i64 {
        match self.counter() {
            "int" => i64::from(number as i32),
            "uint" => i64::from(number as u32),
            _ => number,
        }
    }

    /// The result of a thread, or its first access that is out of bounds.
    fn model(&self, x: u32, y: u32, a: &[u8]) -> Result<u32, Bad> {
        let (mut k, limit) = (self.wrap(self.from), self.wrap(self.limit));
        let mut s = 1u32;
        for _ in 0..TURNS {
            let more = match self.test {
                "<" => k < limit,
                "<=" => k <= limit,
                ">" => k > limit,
                _ => k >= limit,
            };
            if !more {
                break;
            }
            for (number, touch) in self.touches.iter().enumerate() {
                let leaves = |first: bool| {
                    number == 0
                        && self
                            .leave
                            .is_some_and(|(at, before)| before == first && self.wrap(at) == k)
                };
                if leaves(true) {
                    return Ok(s);
                }
                if !touch.odd || k & 1 != 0 {
                    self.touch(touch, [k, x.into(), y.into()], a, &mut s)?;
                }
                if leaves(false) {
                    return Ok(s);
                }
            }
            k = self.wrap(k + self.step);
        }
        Ok(s)
    }

    fn touch(&self, touch: &Touch, [k, x, y]: [i64; 3], a: &[u8], s: &mut u32) -> Result<(), Bad> {
        let by = if touch.hidden || !touch.wide { self.wrap(touch.by) } else { touch.by };
        let add = if touch.wide { touch.add } else { self.wrap(touch.add) };
        let lanes = x * i64::from(touch.lane) + y * i64::from(touch.row);
        let at = k.wrapping_mul(by).wrapping_add(lanes).wrapping_add(add);
        let at = if touch.wide { at } else { self.wrap(at) };
        let at = at.wrapping_add(touch.more).wrapping_add(touch.base);
        let bytes = touch.scalar * touch.width;
        let offset = at.wrapping_mul(bytes.into());
        let length = self.bytes[usize::from(touch.write)] as i64;
        if offset < 0 || offset > length - i64::from(bytes) {
            return Err(Bad { offset, bytes, write: touch.write });
        }
        if !touch.write {
            let read = |at: usize| {
                let bytes = &a[at..at + touch.scalar as usize];
                bytes.iter().rev().fold(0u32, |number, byte| number << 8 | u32::from(*byte))
            };
            let first = read(offset as usize);
            let last = read(offset as usize + (bytes - touch.scalar) as usize);
            let sum = if touch.width == 1 { first } else { first.wrapping_add(last) };
            *s = s.wrapping_mul(31).wrapping_add(sum);
        }
        Ok(())
    }

    fn check(&self, seed: u64) {
        let text = self.text();
        let module = kernel(&text, &seed.to_string());
        let halves = |number: i64| [number as u32, (number >> 32) as u32];
        let mut p = [halves(self.from), halves(self.limit)].concat();
        for touch in &self.touches {
            p.push(touch.by as u32);
            p.extend(halves(touch.base));
        }
        let threads = (GRID[0] * GRID[1]) as usize;
        let lengths = [4 * threads, self.bytes[0] as usize, self.bytes[1] as usize, 4 * p.len()];
        let mut buffers = Buffers::new(lengths, seed.is_multiple_of(4));
        buffers.write(3, &p);
        let a = buffers.bytes(1).to_vec();
        let want: Vec<Result<u32, Bad>> = (0..GRID[1])
            .flat_map(|y| (0..GRID[0]).map(move |x| (x, y)))
            .map(|(x, y)| self.model(x, y, &a))
            .collect();
        for way in Way::all() {
            let name = format!("{seed}, {}: {self:?}\n{text}", way.name());
            buffers.bytes(0).fill(0);
            match buffers.launch(&module, way, [GRID, self.group], &name) {
                Ok(()) => {
                    let found: Vec<Result<u32, Bad>> =
                        buffers.words(0).into_iter().map(Ok).collect();
                    assert!(found == want, "{name}: {found:?} instead of {want:?}");
                }
                Err(fault) => {
                    let [x, y, _] = fault.position.unwrap_or_default();
                    let FaultKind::Access { offset, bytes, write, .. } = fault.kind else {
                        panic!("{name}: {fault}")
                    };
                    let found = Err(Bad { offset, bytes, write });
                    assert_eq!(found, want[(y * GRID[0] + x) as usize], "{name}: {fault}");
                }
            }
        }
    }
}

#[test]
fn random_loops_agree_with_the_model() {
    let first: u64 =
        std::env::var("ARUMINIUM_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    for seed in first..first + crate::test_scale::scaled(300) as u64 {
        Case::random(&mut Random::new(seed)).check(seed);
    }
}

/// Each thread reads the word at its number and that of the iteration.
const PLAIN: Touch = Touch {
    scalar: 4,
    by: 1,
    hidden: false,
    lane: 1,
    row: 0,
    add: 0,
    width: 1,
    wide: false,
    more: 0,
    base: 0,
    write: false,
    odd: false,
};

/// Loops at the edges: none of their accesses is out of bounds, or just one.
#[test]
fn loops_at_the_edges_agree_with_the_model() {
    let plain = Case {
        signed: false,
        long: false,
        from: 0,
        limit: 10,
        step: 1,
        test: "<",
        leave: None,
        touches: vec![PLAIN],
        bytes: [(63 + 10) * 4, 0],
        group: [32, 2, 1],
    };
    let with = |change: &dyn Fn(&mut Case)| {
        let mut case = plain.clone();
        change(&mut case);
        case
    };
    let cases = [
        with(&|_| ()),
        // One byte less, one iteration more, and that iteration left.
        with(&|case| case.bytes[0] -= 1),
        with(&|case| case.limit = 11),
        with(&|case| (case.limit, case.leave) = (11, Some((10, true)))),
        with(&|case| (case.limit, case.leave) = (1 << 20, Some((9, false)))),
        // No iterations, over memory of no length too.
        with(&|case| case.limit = 0),
        with(&|case| (case.limit, case.bytes[0]) = (0, 0)),
        with(&|case| (case.from, case.limit) = (20, 10)),
        // Steps that do not end at the limit.
        with(&|case| (case.step, case.limit) = (4, 11)),
        with(&|case| (case.step, case.limit, case.bytes[0]) = (4, 9, (63 + 9) * 4)),
        with(&|case| (case.step, case.limit, case.bytes[0]) = (3, 11, (63 + 10) * 4)),
        // Down to the first element, and past it.
        with(&|case| {
            (case.signed, case.from, case.limit, case.step, case.test) = (true, 9, 0, -1, ">=")
        }),
        with(&|case| {
            (case.signed, case.from, case.limit, case.step, case.test) = (true, 9, -1, -1, ">=")
        }),
        with(&|case| (case.from, case.limit, case.step, case.test) = (9, 0, -1, ">")),
        with(&|case| (case.from, case.limit, case.step, case.test) = (9, 1, -2, ">=")),
        // Counters that wrap: `k <= 2^32 - 1` never ends by itself.
        with(&|case| (case.from, case.limit, case.test) = (u32::MAX.into(), u32::MAX.into(), "<=")),
        with(&|case| {
            (case.from, case.limit, case.step) = (u32::MAX as i64 - 6, u32::MAX.into(), 4)
        }),
        // Indices that wrap around to the beginning.
        with(&|case| (case.touches[0].add, case.from, case.limit) = (-5, 5, 10)),
        with(&|case| (case.touches[0].add, case.from, case.limit) = (-5, 4, 10)),
        with(&|case| (case.touches[0].by, case.touches[0].add) = (-1, 9)),
        with(&|case| (case.touches[0].by, case.touches[0].add) = (-1, 8)),
        with(&|case| {
            (case.touches[0].by, case.touches[0].add, case.touches[0].lane) = (1 << 30, 0, 0)
        }),
        // The access in odd iterations only; the last iteration is even.
        with(&|case| (case.touches[0].odd, case.limit) = (true, 11)),
        // Neighbours, of which the second is the one before the first byte, or past the last.
        with(&|case| case.touches.push(Touch { add: -1, wide: true, ..PLAIN })),
        with(&|case| case.touches.push(Touch { more: -1, ..PLAIN })),
        with(&|case| case.touches.push(Touch { more: 1, ..PLAIN })),
        with(&|case| case.touches.push(Touch { add: 1, ..PLAIN })),
        // A counter that wraps after its first or second iteration, and the address with it.
        with(&|case| {
            let last = u32::MAX.into();
            (case.from, case.limit, case.test) = (last, last, "<=");
            case.touches[0] = Touch { wide: true, base: -last, ..PLAIN };
        }),
        with(&|case| {
            let last = u32::MAX.into();
            (case.from, case.limit, case.step) = (last - 6, last, 4);
            case.touches[0] = Touch { wide: true, base: 6 - last, ..PLAIN };
        }),
    ];
    for (number, case) in cases.iter().enumerate() {
        for (hidden, wide, width) in
            [(false, false, 1), (true, false, 1), (false, true, 1), (true, true, 2)]
        {
            let mut case = case.clone();
            for touch in &mut case.touches {
                (touch.hidden, touch.wide, touch.width) = (hidden, wide, width);
            }
            case.bytes[0] *= u64::from(width);
            for group in [[32, 2, 1], [16, 2, 1], [8, 2, 1], [5, 2, 1]] {
                Case { group, ..case.clone() }.check(number as u64);
            }
        }
    }
}

/// Bytes and 16-bit numbers that are not adjacent are read as parts of words: not past the end of memory.
#[test]
fn narrow_numbers_at_the_end_agree_with_the_model() {
    for (scalar, lane) in [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (4, 2)] {
        for missing in [0, 1] {
            let last = i64::from(63 * lane + 9);
            let case = Case {
                signed: false,
                long: false,
                from: 0,
                limit: 10,
                step: 1,
                test: "<",
                leave: None,
                touches: vec![Touch { scalar, lane, ..PLAIN }],
                bytes: [(last as u64 + 1) * u64::from(scalar) - missing, 0],
                group: [32, 2, 1],
            };
            case.check(1);
            Case { group: [5, 1, 1], ..case }.check(1);
        }
    }
}

/// Indices of 32 bits that come to the end of their type, or wrap in one lane of one iteration, and a base of 64 bits that
/// brings the others into memory.
#[test]
fn loops_with_indices_at_the_ends_of_their_type_agree_with_the_model() {
    let up_by_one = Touch { add: 1, more: -1, ..PLAIN };
    let down_by_one = Touch { add: -1, more: 1, ..PLAIN };
    for bits in 0..16 {
        let [signed, down, at_top, write] = [1, 2, 4, 8].map(|bit| bits & bit != 0);
        let (least, end) = if signed { (-1i64 << 31, 1 << 31) } else { (0, 1 << 32) };
        for (past, lane) in (-2..=1).flat_map(|past| [(past, 0), (past, 1)]) {
            // The distance from the first thread in the first iteration to the last thread in the last of ten.
            let reach = i64::from(63 * lane + 10);
            let lowest = if at_top { end - reach + past } else { least - past };
            let begin = if at_top { lowest } else { least };
            let near = if at_top { up_by_one.clone() } else { down_by_one.clone() };
            for touches in [vec![PLAIN], vec![PLAIN, near.clone()], vec![near, PLAIN]] {
                let change = |touch: Touch| Touch {
                    lane,
                    // Without an addition the index begins where the counter does.
                    add: touch.add + if at_top { 0 } else { lowest - least },
                    base: -lowest,
                    write,
                    ..touch
                };
                let (from, limit, step, test) = match down {
                    false => (begin, begin + 10, 1, "<"),
                    true => (begin + 9, begin, -1, ">="),
                };
                let case = Case {
                    signed,
                    long: false,
                    from,
                    limit,
                    step,
                    test,
                    leave: None,
                    touches: touches.into_iter().map(change).collect(),
                    bytes: [reach as u64 * 4; 2],
                    group: [32, 2, 1],
                };
                // A counter that comes to the end of its type never ends by itself.
                if !(down && begin == least) {
                    case.check(1);
                }
                // One iteration, of which the index is the same in all.
                let mut once = case;
                once.limit = if down { once.from } else { once.from + 1 };
                once.check(1);
            }
        }
    }
}

/// The address in the last iteration is that in the first one modulo 2^64: the distance of the iterations is too large, or
/// their number is.
#[test]
fn loops_that_come_back_to_their_first_address_agree_with_the_model() {
    let far = Touch { by: 1 << 31, hidden: true, wide: true, width: 4, ..PLAIN };
    let long = Touch { width: 4, ..PLAIN };
    for (touch, turns, counter) in
        [(far.clone(), 1i64 << 29, false), (far, 1 << 29, true), (long, 1 << 60, true)]
    {
        let case = Case {
            signed: false,
            long: counter,
            from: 0,
            limit: turns + 1,
            step: 1,
            test: "<",
            leave: None,
            touches: vec![touch],
            bytes: [(63 + 20) * 16, 0],
            group: [32, 2, 1],
        };
        case.check(1);
    }
}

/// Constant offsets, factors and steps that are the smallest number, whose absolute value has no room.
#[test]
fn offsets_of_the_smallest_number_are_out_of_bounds() {
    for index in [
        "ulong(i) + 0x2000000000000000ul",
        "ulong(i + 1) * 0x2000000000000000ul",
        "0x2000000000000000ul + ulong(i) * 0x2000000000000000ul",
        "ulong(t) + 0x2000000000000000ul",
        "ulong(t + 1) * 0x2000000000000000ul",
        "ulong(x[t] | 1) * 0x2000000000000000ul",
        "ulong(x[t]) + 0x2000000000000000ul",
    ] {
        let text = format!(
            "kernel void k(device uint *x [[buffer(0)]], constant uint &n [[buffer(1)]],
                uint t [[thread_position_in_grid]]) {{
                uint s = 0; for (uint i = 0; i < n; i++) s += x[{index}]; x[0] = s; }}"
        );
        let module = kernel(&text, index);
        for way in Way::all() {
            let mut buffers = Buffers::new([64, 4], true);
            buffers.write(0, &[0; 16]);
            buffers.write(1, &[1]);
            let fault = buffers.launch(&module, way, [[1, 1, 1]; 2], index).expect_err(index);
            let name = way.name();
            let FaultKind::Access { offset, .. } = fault.kind else { panic!("{name}: {fault}") };
            assert_eq!(offset, i64::MIN, "{name}: {index}");
        }
    }
}

/// Otherwise the tests above would only test the checks of each access.
#[test]
fn bounds_are_checked_before_a_loop_that_counts() {
    if !Way::all().into_iter().any(Way::is_native) {
        return;
    }
    let run = || {
        let touch = |write| Touch { row: 64, write, ..PLAIN };
        let case = Case {
            signed: false,
            long: false,
            from: 0,
            limit: 10,
            step: 1,
            test: "<",
            leave: None,
            touches: vec![touch(false), touch(true)],
            bytes: [(127 + 10) * 4; 2],
            group: [32, 2, 1],
        };
        case.check(0);
    };
    let module = module_path!().split_once("::").unwrap().1;
    let test = format!("{module}::bounds_are_checked_before_a_loop_that_counts");
    let Some(output) = in_child(&test, &[("ARUMINIUM_SOFT_JIT_DUMP", "k")], run) else { return };
    let listing = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{listing}");
    let checks = listing.matches("JumpUnlessBelow").count();
    assert!(
        checks >= 4,
        "{checks} checks ahead, of two accesses in the first and last iteration:\n{listing}"
    );
}
