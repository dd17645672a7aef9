//! Every form of instruction that the encoder for arm64 writes, read by an independent disassembler.

#[path = "../../../src/soft/cpu/native/aarch64/asm.rs"]
#[allow(dead_code, unreachable_pub, missing_debug_implementations)]
mod asm;
#[path = "../../../src/soft/cpu/native/aarch64/ops.rs"]
#[allow(dead_code, unreachable_pub, missing_debug_implementations)]
mod ops;

use asm::*;
use ops::{Meaning, Op};
use yaxpeax_arch::{Arch, Decoder, U8Reader};
use yaxpeax_arm::armv8::a64::ARMv8;

/// The disassembler's text for a word, with decimal numbers.
fn read(word: u32) -> String {
    let decoder = <ARMv8 as Arch>::Decoder::default();
    let bytes = word.to_le_bytes();
    let found = decoder.decode(&mut U8Reader::new(&bytes));
    let text = found.unwrap_or_else(|error| panic!("{word:08x}: {error}")).to_string();
    let mut parts = text.split("0x");
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(part.len());
        let number = u64::from_str_radix(&part[..digits], 16).unwrap();
        result += &format!("{number}{}", &part[digits..]);
    }
    result
}

/// The same instruction, spelled as the table of forms does.
fn spelled(text: &str) -> String {
    // Distances of jumps are numbers here.
    let mut text = text.replace("$+", "").replace("$-", "-").replace(", #0]", "]");
    for (theirs, ours) in [("sshll", "sxtl"), ("ushll", "uxtl")] {
        if text.starts_with(theirs) {
            text = text.replacen(theirs, ours, 1).replace(", #0", "");
        }
    }
    if let Some(rest) = text.strip_prefix("mvn v") {
        text = format!("not v{rest}");
    }
    if text.starts_with("mov") && text.contains(".2d") {
        text = text.replacen("mov", "dup", 1);
    }
    let shifted = ["movi", "mvni", "movk"].iter().any(|name| text.starts_with(name));
    if shifted && !text.contains("lsl") { text + ", lsl #0" } else { text }
}

/// Numbers without a pattern.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 32) as u32
    }
}

/// Forms that other names stand for, which `numbers_are_made` and `bits_are_moved` test.
const RENAMED: &[Op] = &[ops::MOVZ, ops::MOVN, ops::UBFM, ops::SBFM];

#[test]
fn every_form_of_the_table_is_read_as_its_text() {
    let mut random = Random(1);
    for &op in ops::ALL.iter().filter(|op| !RENAMED.contains(op)) {
        for _ in 0..64 {
            let mut word = op.bits | random.next() & fields(op);
            for &(_, mask, _) in ops::FIELDS.iter().filter(|&&(name, _, meaning)| {
                let register = matches!(
                    meaning,
                    Meaning::General | Meaning::GeneralBase | Meaning::Word | Meaning::Long
                );
                register && op.text.contains(&format!("{{{name}}}"))
            }) {
                // With number 31 some forms have another name.
                if word & mask == mask {
                    word &= !mask;
                }
            }
            // An address that is written back is not one of the registers.
            if op.text.contains('!') || op.text.contains("], #") {
                word |= 0x1f << 5;
            }
            if op == ops::MOVK {
                word |= 1 << 31;
            }
            // Equal sources have another name, too, and so have immediates of 0.
            let equal = word >> 5 & 31 == word >> 16 & 31;
            if equal && [ops::CSEL, ops::CSINV, ops::V_ORR].contains(&op) {
                word ^= 1 << 16;
            }
            if [ops::ADD_IMM, ops::SUB_IMM, ops::ADD_SHIFTED].contains(&op) {
                word |= 1 << 10;
            }
            let ours = text(word).unwrap();
            assert_eq!(spelled(&read(word)), spelled(&ours), "{word:08x} of {}", op.text);
        }
    }
}

/// The texts of the instructions that `emit` writes, up to the pool.
fn texts(emit: impl FnOnce(&mut Assembler)) -> Vec<String> {
    let mut assembler = Assembler::default();
    emit(&mut assembler);
    let length = assembler.position() as usize;
    let bytes = assembler.finish().unwrap();
    let words = bytes[..length].chunks_exact(4);
    words.map(|word| spelled(&read(u32::from_le_bytes(word.try_into().unwrap())))).collect()
}

#[track_caller]
fn same(expected: &str, emit: impl FnOnce(&mut Assembler)) {
    assert_eq!(texts(emit).join("; "), expected);
}

fn x(number: u8) -> Gpr {
    Gpr(number)
}

fn v(number: u8) -> Vector {
    Vector(number)
}

#[test]
fn integers() {
    same("add w1, w2, w3", |asm| asm.int(ops::ADD, false, x(1), x(2), x(3)));
    same("sub x30, x29, x28", |asm| asm.int(ops::SUB, true, x(30), x(29), x(28)));
    same("cmp x4, x5", |asm| asm.int(ops::SUBS, true, ZERO, x(4), x(5)));
    same("clz w1, w2", |asm| asm.int1(ops::CLZ, false, x(1), x(2)));
    same("mul x1, x2, x3", |asm| asm.mul(true, x(1), x(2), x(3)));
    same("mov w1, w2", |asm| asm.mov(false, x(1), x(2)));
    same("mov x1, x2", |asm| asm.mov(true, x(1), x(2)));
    same("mov x1, sp", |asm| asm.mov_sp(x(1), SP));
    same("mov sp, x1", |asm| asm.mov_sp(SP, x(1)));
    same("add x1, x2, w3, sxtw", |asm| asm.add_signed(x(1), x(2), x(3)));
    same("add x1, x2, x3, lsl #1", |asm| asm.add_shifted(x(1), x(2), x(3), 1));
    same("subs x1, x2, #77", |asm| asm.subs_imm(true, x(1), x(2), 77));
    same("csel w1, w2, w3, hi", |asm| {
        asm.choose(ops::CSEL, false, x(1), x(2), x(3), Cond::Above);
    });
    same("csetm w1, lo", |asm| asm.set(Cond::Below, x(1)));
}

#[test]
fn conditions_have_their_names_and_inverses() {
    for (cond, name, inverse) in [
        (Cond::Equal, "eq", "ne"),
        (Cond::NotEqual, "ne", "eq"),
        (Cond::AboveEqual, "hs", "lo"),
        (Cond::Below, "lo", "hs"),
        (Cond::Above, "hi", "ls"),
        (Cond::BelowEqual, "ls", "hi"),
        (Cond::GreaterEqual, "ge", "lt"),
        (Cond::Less, "lt", "ge"),
        (Cond::Greater, "gt", "le"),
        (Cond::LessEqual, "le", "gt"),
    ] {
        for (cond, name) in [(cond, name), (cond.inverse(), inverse)] {
            same(&format!("b.{name} 0"), |asm| {
                let here = asm.label();
                asm.bind(here);
                asm.jump_if(cond, here);
            });
        }
    }
}

#[test]
fn numbers_are_made() {
    same("mov x1, #0", |asm| asm.mov_imm(x(1), 0));
    same("mov x1, #18446744073709551615", |asm| asm.mov_imm(x(1), u64::MAX));
    let mut random = Random(2);
    for _ in 0..200 {
        let [low, high, keep] = [(); 3].map(|()| random.next());
        let mut number = u64::from(high) << 32 | u64::from(low);
        for part in 0..4 {
            let mask = 0xffff << (16 * part);
            match keep >> (2 * part) & 3 {
                0 => number &= !mask,
                1 => number |= mask,
                _ => {}
            }
        }
        // A move, and the parts that replace some of it.
        let mut found = 0;
        for text in texts(|asm| asm.mov_imm(x(9), number)) {
            let (name, rest) = text.split_once(" x9, #").unwrap_or_else(|| panic!("{text}"));
            let (part, shift) = rest.split_once(", lsl #").unwrap_or((rest, "0"));
            let (part, shift): (u64, u32) = (part.parse().unwrap(), shift.parse().unwrap());
            match name {
                "mov" => found = part,
                "movk" => found = found & !(0xffff << shift) | part << shift,
                _ => panic!("{text}"),
            }
        }
        assert_eq!(found, number, "{number:x}");
    }
    for (number, text) in [
        (0, "add x1, x2, #0"),
        (1, "add x1, x2, #1"),
        (-1, "sub x1, x2, #1"),
        (0x1000, "add x1, x2, #1, lsl #12"),
        (0xff_f001, "add x1, x2, #4095, lsl #12; add x1, x1, #1"),
        (-0x1001, "sub x1, x2, #1, lsl #12; sub x1, x1, #1"),
    ] {
        same(text, |asm| assert!(asm.add_imm(true, x(1), x(2), number)));
    }
    assert!(!Assembler::default().add_imm(true, x(1), x(2), 1 << 24));
}

#[test]
fn bits_are_moved() {
    for (wide, r, bits) in [(false, 'w', 32), (true, 'x', 64)] {
        for by in 1..bits {
            same(&format!("lsl {r}1, {r}2, #{by}"), |asm| {
                asm.shift_imm(Shift::Left, wide, x(1), x(2), by);
            });
            same(&format!("lsr {r}1, {r}2, #{by}"), |asm| {
                asm.shift_imm(Shift::Right, wide, x(1), x(2), by);
            });
            same(&format!("asr {r}1, {r}2, #{by}"), |asm| {
                asm.shift_imm(Shift::Arithmetic, wide, x(1), x(2), by);
            });
        }
    }
    same("sxtb w1, w2", |asm| asm.extend(true, false, 8, x(1), x(2)));
    same("sxth x1, w2", |asm| asm.extend(true, true, 16, x(1), x(2)));
    same("sxtw x1, w2", |asm| asm.extend(true, true, 32, x(1), x(2)));
    same("uxtb w1, w2", |asm| asm.extend(false, false, 8, x(1), x(2)));
    same("uxth w1, w2", |asm| asm.extend(false, false, 16, x(1), x(2)));
    for by in 0..32 {
        same(&format!("shl v1.4s, v2.4s, #{by}"), |asm| asm.shl(v(1), v(2), by));
        let by = by + 1;
        same(&format!("ushr v1.4s, v2.4s, #{by}"), |asm| asm.shr(ops::USHR, v(1), v(2), by));
        same(&format!("sshr v1.4s, v2.4s, #{by}"), |asm| asm.shr(ops::SSHR, v(1), v(2), by));
    }
}

#[test]
fn memory() {
    for (op, name, bytes) in [
        (ops::LDRB, "ldrb w", 1),
        (ops::LDRSB, "ldrsb w", 1),
        (ops::LDRH, "ldrh w", 2),
        (ops::LDRSH, "ldrsh w", 2),
        (ops::LDR_W, "ldr w", 4),
        (ops::LDR_X, "ldr x", 8),
        (ops::STRB, "strb w", 1),
        (ops::STRH, "strh w", 2),
        (ops::STR_W, "str w", 4),
        (ops::STR_X, "str x", 8),
        (ops::LDR_D, "ldr d", 8),
        (ops::STR_D, "str d", 8),
        (ops::LDR_Q, "ldr q", 16),
        (ops::STR_Q, "str q", 16),
    ] {
        for at in [0, 1, 4095].map(|at| at * bytes) {
            let place = if at == 0 { "[sp]".to_owned() } else { format!("[sp, #{at}]") };
            same(&format!("{name}7, {place}"), |asm| {
                assert!(asm.at(op, 7, SP, at, bytes as u32));
            });
        }
        let (start, rest) = name.split_at(2);
        for at in [-256, -1, 255].into_iter().filter(|at| *at < 0 || at % bytes != 0) {
            let expected = format!("{start}u{rest}7, [x8, #{at}]");
            let found = texts(|asm| assert!(asm.at(op, 7, x(8), at, bytes as u32))).join("; ");
            assert_eq!(found, expected);
            let mut assembler = Assembler::default();
            assert!(assembler.at(op, 7, x(8), at, bytes as u32));
            let word = assembler.finish().unwrap()[..4].try_into().unwrap();
            assert_eq!(text(u32::from_le_bytes(word)).unwrap(), expected);
        }
        for at in [-257, 4096 * bytes] {
            assert!(!Assembler::default().at(op, 7, x(8), at, bytes as u32), "{name} {at}");
        }
    }
    for at in [-1024, 16, 1008] {
        same(&format!("ldp q1, q2, [x3, #{at}]"), |asm| {
            assert!(asm.pair_at(ops::LDP_Q, [1, 2], x(3), at, 16));
        });
    }
    for at in [-1040, 8, 1024] {
        assert!(!Assembler::default().pair_at(ops::LDP_Q, [1, 2], x(3), at, 16));
    }
    same("ldr w1, [x2, x3, lsl #2]", |asm| asm.indexed(ops::LDR_W_INDEXED, x(1), x(2), x(3)));
    same("ld1r {v1.4s}, [x2]", |asm| asm.plain(ops::LD1R, 1, x(2)));
    for (op, name, letter, bytes) in [
        (ops::LD1_LANE, "ld1", 's', 4),
        (ops::ST1_LONG, "st1", 'd', 8),
        (ops::ST1_WORD, "st1", 's', 4),
        (ops::ST1_HALF, "st1", 'h', 2),
        (ops::ST1_BYTE, "st1", 'b', 1),
    ] {
        for lane in 0..16 / bytes {
            same(&format!("{name} {{v9.{letter}}}[{lane}], [x2]"), |asm| {
                asm.lane_at(op, v(9), lane, bytes, x(2));
            });
        }
    }
    same("stxr w1, w2, [x3]", |asm| asm.store_exclusive(ops::STXR, x(1), x(2), x(3)));
    same("stxr w1, x2, [x3]", |asm| asm.store_exclusive(ops::STXR_X, x(1), x(2), x(3)));
}

#[test]
fn jumps_go_to_their_labels() {
    same("b 8; cbz w1, -4; cbnz x2, 8; tbz x3, #40, 4; tbz w3, #5, 0; bl -12", |asm| {
        let [start, ahead, end, here] = [(); 4].map(|()| asm.label());
        asm.bind(start);
        asm.jump(ahead);
        asm.jump_zero(true, false, x(1), start);
        asm.bind(ahead);
        asm.jump_zero(false, true, x(2), here);
        asm.jump_bit_clear(x(3), 40, end);
        asm.bind(here);
        asm.bind(end);
        asm.jump_bit_clear(x(3), 5, here);
        asm.call(ahead);
    });
    same("adr x9, 8; br x9; adr x1, -4", |asm| {
        let [ahead, back] = [(); 2].map(|()| asm.label());
        asm.address_of(x(9), ahead);
        asm.bind(back);
        asm.jump_register(x(9));
        asm.bind(ahead);
        asm.address_of(x(1), back);
    });
    // A test of a bit reaches 32 KiB.
    for (count, reaches) in [(8190, true), (8191, true), (8192, false)] {
        let mut asm = Assembler::default();
        let to = asm.label();
        asm.jump_bit_clear(x(0), 0, to);
        (1..count).for_each(|_| asm.ret());
        asm.bind(to);
        assert_eq!(asm.finish().is_some(), reaches, "{count}");
    }
}

#[test]
fn constants_of_the_pool_are_found() {
    // Four instructions, two constants of 16 bytes, and one of 8.
    same("ldr q1, 16; ldr q2, 28; ldr q3, 8; ldr x4, 36", |asm| {
        asm.load_constant(v(1), &[1; 16]);
        asm.load_constant(v(2), &[2; 16]);
        asm.load_constant(v(3), &[1; 16]);
        asm.load_number(x(4), 77);
    });
}

#[test]
fn vectors() {
    same("fadd v1.4s, v2.4s, v3.4s", |asm| asm.vec3(ops::FADD, v(1), v(2), v(3)));
    same("fsqrt v1.4s, v2.4s", |asm| asm.vec2(ops::FSQRT, v(1), v(2)));
    same("dup v1.4s, w2", |asm| asm.dup(v(1), x(2)));
    for lane in 0..4 {
        same(&format!("mov w1, v2.s[{lane}]"), |asm| asm.get_lane(x(1), v(2), lane));
        same(&format!("mov v2.s[{lane}], w1"), |asm| asm.set_lane(v(2), lane, x(1)));
    }
    for pair in 0..2 {
        same(&format!("dup v1.2d, v2.d[{pair}]"), |asm| asm.dup_pair(v(1), v(2), pair));
    }
    same("fmov x1, d2", |asm| asm.low_of(ops::FMOV_FROM_D, x(1), v(2)));
    same("fmov s2, w1", |asm| asm.set_low(v(2), x(1)));
    for byte in [0u32, 1, 0x7f, 0x80, 0xff] {
        for shift in [0, 8, 16, 24] {
            let at = if byte == 0 { 0 } else { shift };
            same(&format!("movi v9.4s, #{byte}, lsl #{at}"), |asm| asm.splat(v(9), byte << shift));
            if byte != 0 && byte != 0xff {
                same(&format!("mvni v9.4s, #{byte}, lsl #{at}"), |asm| {
                    asm.splat(v(9), !(byte << shift));
                });
            }
        }
    }
    same("ldr q9, 16", |asm| asm.splat(v(9), 0x1234_5678));
}

#[test]
fn listings_have_the_addresses_that_jumps_go_to() {
    let at = |word: u32, at: u64| text_at(word, at).unwrap();
    assert_eq!(at(ops::B.bits | 4, 0x100), "b 0x110");
    assert_eq!(at(ops::BL.bits | 0x3ff_fffe, 0x100), "bl 0xf8");
    let backward = (0x3fff << 5) | 3 << 19;
    assert_eq!(at(ops::TBZ.bits | backward | 9, 0x100), "tbz w9, #3, 0xfc");
    assert_eq!(at(ops::LDR_Q_POOL.bits | 8 << 5 | 7, 0x40), "ldr q7, 0x60");
    assert_eq!(at(ops::CBZ.bits | 1 << 31 | 2 << 5 | 3, 0), "cbz x3, 0x8");
    // A number at the end that is no distance.
    assert_eq!(at(ops::RET.bits, 8), "ret");
    assert_eq!(
        at(ops::SHL.bits | 5 << 16 | 2 << 5 | 1, 8),
        text(ops::SHL.bits | 5 << 16 | 2 << 5 | 1).unwrap()
    );
}
