//! Rows for statements, and for the library's functions of single threads.

use super::File;

#[test]
fn control() {
    let mut file = File::open("control.metal", include_str!("../../../tests/msl/control.metal"));
    file.kernel("conditionals").each(64, |i| match i {
        0..10 => 1,
        10..20 => if i & 1 == 1 { 2 } else { 3 },
        _ => i as i32 % 4 * 10,
    });
    file.kernel("loops").each(64, |i| {
        let (mut sum, mut n) = ((0..5).map(|j| j * (10 - j)).sum::<i32>(), i as i32);
        while n > 0 {
            sum += n % 3;
            n /= 2;
        }
        loop {
            n += 1;
            sum += n;
            if n >= i as i32 % 5 {
                break;
            }
        }
        (sum + 6) / 7 * 7
    });
    file.kernel("nested_loops").each(100, |i| {
        let mut sum = 0;
        for a in 0..i % 7 {
            for b in a..9 {
                if (a + b + i) % 5 == 0 {
                    continue;
                }
                if a * b > i {
                    break;
                }
                let passes = (1..).map(|k| b + 3 * k).take_while(|&c| c <= 12);
                sum += passes.filter(|c| c % 2 == 0).sum::<usize>() + 1000;
            }
            if sum > 20000 {
                break;
            }
        }
        sum as i32
    });
    file.kernel("early_returns").each(3000, |i| match i % 3 {
        0 => -1,
        _ => (0..50).find(|j| j * j > i as i32).unwrap_or(100),
    });
    let classify = |x: i32| match (2..x).find(|k| x % k == 0) {
        _ if x < 0 => -1,
        Some(k) if x / k > 10 => k * 100,
        found => found.unwrap_or(0),
    };
    file.kernel("returns_from_calls").each(100, |i| {
        let n = i as i32 - 5;
        if i % 2 == 1 { classify(n) } else { classify(n * 3) + 10000 }
    });
    const POISON: i32 = i32::from_le_bytes([super::POISON; 4]);
    file.kernel("switches").each(64, |i| {
        let grown = |a: i32| if i > 20 { a + 10 } else { (a + 110) * 2 };
        [6, 1, grown(99), grown(0), grown(0), 0, POISON, grown(99), -1, grown(99)][i % 10]
    });
    file.kernel("switches_in_loops").each(64, |i| {
        let mut sum = 0;
        for j in 0..12 {
            sum += match (j + i as i32) % 4 {
                0 => continue,
                1 => 2,
                2 => 1000 + if j & 1 == 1 { 10 } else { 100 },
                _ => 1000,
            };
            if sum > 9000 {
                break;
            }
            sum += 10000 / (j + 1) % 7;
        }
        sum
    });
    file.kernel("short_circuits").each(16, |i| {
        let bit = |k: usize| i & k != 0;
        let (a, b) = (bit(1) && bit(2), bit(4) || bit(8));
        let (c, calls) = if a { (1, 1) } else if b { (5, 2) } else { (0, 0) };
        let calls = calls + i32::from(bit(1)) + i32::from(!bit(4));
        calls * 100 + i32::from(a) + 2 * i32::from(b) + 4 * c
    });
    let x: Vec<i32> = (0..40).map(|i| i % 5 - 1).collect();
    file.kernel("bounds_are_guarded").input(&x).input(&[40u32]).each(64, |i| match x.get(i) {
        Some(&x) if x > 0 => x,
        _ => -1,
    });
    file.kernel("collatz").each(300, |i| {
        let next = |n: &usize| (*n != 1).then(|| if n & 1 == 1 { 3 * n + 1 } else { n / 2 });
        std::iter::successors(Some(i + 1), next).count() as i32 - 1
    });
    file.kernel("uniform_branches").input(&[2]).each(40, |i| 2 * (i as i32 + 15));
    file.kernel("together_again").each(64, |i| i as i32 % 8 * 1000 + 32);
    file.kernel("empty_statements").each(2, |i| 70 + if i == 0 { 8 } else { 7 });
    file.kernel("never_ends").out(&[0; 64]).grid(64, 1, 1).faults("still runs when the watchdog's time is up");
    file.finish();
}
