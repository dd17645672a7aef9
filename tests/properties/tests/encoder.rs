//! Every form of instruction that the encoder of machine code writes, read by an independent disassembler.

#![cfg(target_arch = "x86_64")]

#[path = "../../../src/soft/cpu/native/x86_64/asm.rs"]
#[allow(dead_code, unreachable_pub, missing_debug_implementations)]
mod asm;
#[path = "../../../src/soft/cpu/native/x86_64/ops.rs"]
#[allow(dead_code, unreachable_pub, missing_debug_implementations)]
mod ops;
#[path = "../../../src/soft/cpu/native/x86_64/text.rs"]
#[allow(dead_code, unreachable_pub, missing_debug_implementations)]
mod text;

use asm::*;
use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};

/// The text of the one instruction that `emit` writes.
fn text(emit: impl FnOnce(&mut Assembler)) -> String {
    let mut assembler = Assembler::default();
    emit(&mut assembler);
    let bytes = assembler.finish();
    let mut decoder = Decoder::with_ip(64, &bytes, 0, DecoderOptions::NONE);
    let instruction = decoder.decode();
    assert!(!instruction.is_invalid(), "{bytes:02x?}");
    // The rest is padding up to the pool.
    let rest = &bytes[instruction.len()..];
    assert!(
        rest.iter().take_while(|&&byte| byte == 0xcc).count() + 64 >= rest.len(),
        "{bytes:02x?}"
    );
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_space_after_operand_separator(false);
    options.set_memory_size_options(iced_x86::MemorySizeOptions::Never);
    options.set_rip_relative_addresses(false);
    let mut out = String::new();
    formatter.format(&instruction, &mut out);
    // A listing shows the same, but for sizes where they are clear, and predicates as numbers.
    let options = formatter.options_mut();
    options.set_memory_size_options(iced_x86::MemorySizeOptions::Minimal);
    options.set_use_pseudo_ops(false);
    let mut listed = String::new();
    formatter.format(&instruction, &mut listed);
    let (length, ours) = text::text(&bytes, 0).unwrap_or_else(|| panic!("no text of {out}"));
    assert_eq!((length, ours.replace(", ", ",")), (instruction.len(), listed));
    out
}

#[track_caller]
fn same(expected: &str, emit: impl FnOnce(&mut Assembler)) {
    assert_eq!(text(emit), expected);
}

const WIDE: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];
const SHORT: [&str; 16] = [
    "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d",
    "r13d", "r14d", "r15d",
];
const WORD: [&str; 16] = [
    "ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r9w", "r10w", "r11w", "r12w", "r13w",
    "r14w", "r15w",
];
const BYTE: [&str; 16] = [
    "al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b",
    "r13b", "r14b", "r15b",
];

fn name(wide: bool, reg: Gpr) -> &'static str {
    if wide { WIDE[reg.0 as usize] } else { SHORT[reg.0 as usize] }
}

fn gprs() -> impl Iterator<Item = Gpr> {
    (0..16).map(Gpr)
}

/// Places in memory of every shape, and their texts.
fn places() -> Vec<(Mem, String)> {
    let mut all = Vec::new();
    for base in gprs() {
        for disp in [0, 0x10, -0x80, 0x12345] {
            let text = match disp {
                0 => String::new(),
                disp if disp < 0 => format!("-0x{:x}", -disp),
                disp => format!("+0x{disp:x}"),
            };
            let base_name = name(true, base);
            all.push((Mem::at(base, disp), format!("[{base_name}{text}]")));
            for index in [Gpr(0), Gpr(5), Gpr(12), Gpr(13)] {
                for scale in [0u8, 3] {
                    let mem = Mem {
                        base: Base::Gpr(base),
                        index: Some((Index::Gpr(index), scale)),
                        disp,
                    };
                    let scaled = match scale {
                        0 => String::new(),
                        scale => format!("*{}", 1 << scale),
                    };
                    all.push((mem, format!("[{base_name}+{}{scaled}{text}]", name(true, index))));
                }
            }
        }
    }
    all
}

#[test]
fn moves_and_arithmetic_of_general_registers() {
    let alus = [
        (Alu::Add, "add"),
        (Alu::Or, "or"),
        (Alu::Sbb, "sbb"),
        (Alu::And, "and"),
        (Alu::Sub, "sub"),
        (Alu::Xor, "xor"),
        (Alu::Cmp, "cmp"),
    ];
    for a in gprs() {
        for b in gprs() {
            for wide in [false, true] {
                let (x, y) = (name(wide, a), name(wide, b));
                same(&format!("mov {x},{y}"), |asm| asm.mov(wide, a, b));
                same(&format!("imul {x},{y}"), |asm| asm.imul(wide, a, b));
                // The disassembler leaves out a source that is the result.
                let source = if a == b { String::new() } else { format!("{y},") };
                let text = format!("imul {x},{source}0x12345");
                same(&text, |asm| asm.imul_imm(wide, a, b, 0x12345));
                same(&format!("test {x},{y}"), |asm| asm.test(wide, b, a));
                if !wide {
                    same(&format!("tzcnt {x},{y}"), |asm| asm.lowest_bit(a, b));
                    same(&format!("bsr {x},{y}"), |asm| asm.highest_bit(a, b));
                    same(&format!("blsr {x},{y}"), |asm| asm.clear_lowest_bit(a, b));
                }
                for (alu, mnemonic) in alus {
                    same(&format!("{mnemonic} {x},{y}"), |asm| asm.alu(alu, wide, a, b));
                }
                for (cond, suffix) in CONDITIONS {
                    same(&format!("cmov{suffix} {x},{y}"), |asm| asm.cmov(cond, wide, a, b));
                }
                let by = Gpr(9);
                for (shift, mnemonic) in
                    [(Shift::Left, "shlx"), (Shift::Right, "shrx"), (Shift::Arithmetic, "sarx")]
                {
                    let text = format!("{mnemonic} {x},{y},{}", name(wide, by));
                    same(&text, |asm| asm.shift(shift, wide, a, b, by));
                }
            }
            let extensions = [
                (Extend::Zero8, "movzx", BYTE[b.0 as usize]),
                (Extend::Sign8, "movsx", BYTE[b.0 as usize]),
                (Extend::Zero16, "movzx", WORD[b.0 as usize]),
                (Extend::Sign16, "movsx", WORD[b.0 as usize]),
            ];
            for (kind, mnemonic, from) in extensions {
                for wide in [false, true] {
                    let text = format!("{mnemonic} {},{from}", name(wide, a));
                    same(&text, |asm| asm.extend(kind, wide, a, b));
                }
            }
            let text = format!("movsxd {},{}", name(true, a), name(false, b));
            same(&text, |asm| asm.extend(Extend::Sign32, true, a, b));
        }
        for wide in [false, true] {
            let x = name(wide, a);
            same(&format!("neg {x}"), |asm| asm.neg(wide, a));
            same(&format!("div {x}"), |asm| asm.divide(false, wide, a));
            same(&format!("idiv {x}"), |asm| asm.divide(true, wide, a));
            same(if wide { "cqo" } else { "cdq" }, |asm| asm.sign_of_rax(wide));
            same(&format!("not {x}"), |asm| asm.not(wide, a));
            if !wide {
                same(&format!("test {x},0x80"), |asm| asm.test_imm(a, 0x80));
            }
            for (shift, mnemonic) in
                [(Shift::Left, "shl"), (Shift::Right, "shr"), (Shift::Arithmetic, "sar")]
            {
                same(&format!("{mnemonic} {x},7"), |asm| asm.shift_imm(shift, wide, a, 7));
            }
            for (alu, mnemonic) in alus {
                same(&format!("{mnemonic} {x},5"), |asm| asm.alu_imm(alu, wide, a, 5));
                let text = text(|asm| asm.alu_imm(alu, wide, a, 0x12345));
                assert_eq!(text, format!("{mnemonic} {x},0x12345"));
            }
        }
        for (cond, suffix) in CONDITIONS {
            same(&format!("set{suffix} {}", BYTE[a.0 as usize]), |asm| asm.set(cond, a));
        }
        let (x, short) = (name(true, a), name(false, a));
        same(&format!("push {x}"), |asm| asm.push(a));
        same(&format!("pop {x}"), |asm| asm.pop(a));
        same(&format!("call {x}"), |asm| asm.call_register(a));
        same(&format!("mov {short},0x12345678"), |asm| asm.mov_imm(a, 0x1234_5678));
        same(&format!("mov {x},0xfffffffffffffff0"), |asm| asm.mov_imm(a, -16i64 as u64));
        same(&format!("mov {x},0x123456789abcdef0"), |asm| asm.mov_imm(a, 0x1234_5678_9abc_def0));
    }
    same("ret", Assembler::ret);
    same("vzeroupper", Assembler::vzeroupper);
}

const CONDITIONS: [(Cond, &str); 10] = [
    (Cond::Below, "b"),
    (Cond::AboveEqual, "ae"),
    (Cond::Equal, "e"),
    (Cond::NotEqual, "ne"),
    (Cond::BelowEqual, "be"),
    (Cond::Above, "a"),
    (Cond::Less, "l"),
    (Cond::GreaterEqual, "ge"),
    (Cond::LessEqual, "le"),
    (Cond::Greater, "g"),
];

#[test]
fn memory_of_every_shape() {
    for (mem, place) in places() {
        for reg in [Gpr(0), Gpr(7), Gpr(13)] {
            same(&format!("mov {},{place}", name(true, reg)), |asm| asm.mov(true, reg, mem));
            same(&format!("lea {},{place}", name(true, reg)), |asm| asm.lea(true, reg, mem));
            let stores = [(1, BYTE), (2, WORD), (4, SHORT), (8, WIDE)];
            for (bytes, names) in stores {
                let text = format!("mov {place},{}", names[reg.0 as usize]);
                same(&text, |asm| asm.store(bytes, mem, reg));
            }
        }
        for reg in [0u8, 9, 17, 31] {
            let text = format!("vaddps zmm{reg},zmm2,{place}");
            same(&text, |asm| asm.vec(Width::Zmm, ops::ADDPS, Vector(reg), Vector(2), mem));
            let (low, text) = (reg & 15, format!("vaddps ymm{},ymm2,{place}", reg & 15));
            same(&text, |asm| asm.vec(Width::Ymm, ops::ADDPS, Vector(low), Vector(2), mem));
        }
    }
}

#[test]
fn atomics_of_words() {
    for (mem, place) in places() {
        for reg in [Gpr(0), Gpr(7), Gpr(13)] {
            for (wide, names) in [(false, SHORT), (true, WIDE)] {
                let name = names[reg.0 as usize];
                same(&format!("xchg {place},{name}"), |asm| asm.exchange(wide, mem, reg));
                same(&format!("add {place},{name}"), |asm| asm.alu_store(Alu::Add, wide, mem, reg));
                same(&format!("lock xadd {place},{name}"), |asm| asm.lock_add(wide, mem, reg));
                let text = format!("lock cmpxchg {place},{name}");
                same(&text, |asm| asm.lock_compare_exchange(wide, mem, reg));
            }
        }
    }
}

#[test]
fn jumps_go_to_their_labels() {
    for (cond, suffix) in CONDITIONS {
        let text = text(|asm| {
            let to = asm.label();
            asm.jump_if(cond, to);
            asm.bind(to);
        });
        assert_eq!(text, format!("j{suffix} 6"));
    }
    let backward = text(|asm| {
        let to = asm.label();
        asm.bind(to);
        asm.jump(to);
    });
    assert_eq!(backward, "jmp 0");
}

#[test]
fn calls_go_to_their_labels_and_return() {
    let call = text(|asm| {
        let to = asm.label();
        asm.bind(to);
        asm.call(to);
    });
    assert_eq!(call, "call 0");
    same("ret", |asm| asm.ret());
    same("vzeroupper", |asm| asm.vzeroupper());
}

#[test]
fn addresses_in_the_code_are_loaded_and_jumped_to() {
    for number in 0..16 {
        let reg = Gpr(number);
        let found = text(|asm| {
            let to = asm.label();
            asm.lea_label(reg, to);
            asm.bind(to);
        });
        assert_eq!(found, format!("lea {},[7]", name(true, reg)));
        let mem = Mem::at(reg, 24);
        let found = text(|asm| asm.jump_memory(mem));
        assert_eq!(found, format!("jmp [{}+0x18]", name(true, reg)));
    }
}

#[test]
fn constants_of_the_pool_are_found() {
    // The pool is aligned to 64 bytes, and an immediate lies between the displacement and the next instruction.
    for imm in [false, true] {
        let found = text(|asm| {
            let first = asm.constant(&[1; 32]);
            let at = asm.constant(&[2; 32]);
            assert_eq!((first, at, asm.constant(&[1; 32])), (0, 32, 0));
            let mem = Mem::pool(at);
            match imm {
                false => asm.vec(Width::Ymm, ops::ADDPS, Vector(1), Vector(2), mem),
                true => asm.vec_imm(Width::Ymm, ops::ROUNDPS, Vector(1), Vector(0), mem, 9),
            }
        });
        assert!(found.contains("[0x60]"), "{found}");
    }
}

/// Instructions of three vectors, and whether they exist with 256 bits.
const THREE: &[(Op, &str, bool)] = &[
    (ops::ADDPS, "vaddps", true),
    (ops::MULPS, "vmulps", true),
    (ops::SUBPS, "vsubps", true),
    (ops::DIVPS, "vdivps", true),
    (ops::MINPS, "vminps", true),
    (ops::MAXPS, "vmaxps", true),
    (ops::FMA231PS, "vfmadd231ps", true),
    (ops::PADDD, "vpaddd", true),
    (ops::PSUBD, "vpsubd", true),
    (ops::PMULLD, "vpmulld", true),
    (ops::PMINSD, "vpminsd", true),
    (ops::PMINUD, "vpminud", true),
    (ops::PMAXSD, "vpmaxsd", true),
    (ops::PMAXUD, "vpmaxud", true),
    (ops::PAND, "vpand", true),
    (ops::PANDN, "vpandn", true),
    (ops::POR, "vpor", true),
    (ops::PXOR, "vpxor", true),
    (ops::PSLLVD, "vpsllvd", true),
    (ops::PSRLVD, "vpsrlvd", true),
    (ops::PSRAVD, "vpsravd", true),
    (ops::PACKUSDW, "vpackusdw", true),
    (ops::PMULUDQ, "vpmuludq", true),
    (ops::PMULDQ, "vpmuldq", true),
    (ops::ADDPD, "vaddpd", true),
    (ops::SUBPD, "vsubpd", true),
    (ops::DIVPD, "vdivpd", true),
    (ops::PACKUSWB, "vpackuswb", true),
    (ops::PERMD, "vpermd", true),
    (ops::PSHUFB, "vpshufb", true),
    (ops::UNPCKLPS, "vunpcklps", true),
    (ops::UNPCKHPS, "vunpckhps", true),
    (ops::BLENDMPS, "vblendmps", false),
    (ops::PERMI2D, "vpermi2d", false),
];

/// Instructions of one source.
const TWO: &[(Op, &str, bool)] = &[
    (ops::SQRTPS, "vsqrtps", true),
    (ops::CVTDQ2PS, "vcvtdq2ps", true),
    (ops::CVTTPS2DQ, "vcvttps2dq", true),
    (ops::CVTUDQ2PS, "vcvtudq2ps", false),
    (ops::CVTTPS2UDQ, "vcvttps2udq", false),
    (ops::PABSD, "vpabsd", true),
    (ops::MOVUPS_LOAD, "vmovups", true),
    (ops::MOVAPS, "vmovaps", true),
];

#[test]
fn vectors_of_both_widths() {
    // Bitwise operations of 512 bits name the size of the elements that a mask would select.
    let bitwise = ["vpand", "vpandn", "vpor", "vpxor"];
    for &(op, mnemonic, both) in THREE {
        for (a, b, c) in [(0, 1, 2), (7, 8, 15), (15, 3, 9), (17, 24, 31), (31, 16, 8)] {
            let long = if bitwise.contains(&mnemonic) { "d" } else { "" };
            let text = format!("{mnemonic}{long} zmm{a},zmm{b},zmm{c}");
            same(&text, |asm| asm.vec(Width::Zmm, op, Vector(a), Vector(b), Vector(c)));
            let text = format!("{mnemonic}{long} zmm{a}{{k3}},zmm{b},zmm{c}");
            same(&text, |asm| asm.masked(op, Mask(3), Vector(a), Vector(b), Vector(c)));
            if both && a.max(b).max(c) < 16 {
                let text = format!("{mnemonic} ymm{a},ymm{b},ymm{c}");
                same(&text, |asm| asm.vec(Width::Ymm, op, Vector(a), Vector(b), Vector(c)));
            }
        }
    }
    for &(op, mnemonic, both) in TWO {
        for (a, b) in [(0, 1), (7, 8), (15, 3), (17, 31), (31, 8)] {
            same(&format!("{mnemonic} zmm{a},zmm{b}"), |asm| {
                asm.vec(Width::Zmm, op, Vector(a), Vector(0), Vector(b));
            });
            if both && a.max(b) < 16 {
                same(&format!("{mnemonic} ymm{a},ymm{b}"), |asm| {
                    asm.vec(Width::Ymm, op, Vector(a), Vector(0), Vector(b));
                });
            }
        }
    }
}

#[test]
fn vectors_with_numbers_and_other_registers() {
    let zmm = Width::Zmm;
    same("vrndscaleps zmm17,zmm30,9", |asm| {
        asm.vec_imm(zmm, ops::ROUNDPS, Vector(17), Vector(0), Vector(30), 9)
    });
    same("vroundps ymm7,ymm9,9", |asm| {
        asm.vec_imm(Width::Ymm, ops::ROUNDPS, Vector(7), Vector(0), Vector(9), 9);
    });
    same("vshufps zmm17,zmm20,zmm30,0x88", |asm| {
        asm.vec_imm(zmm, ops::SHUFPS, Vector(17), Vector(20), Vector(30), 0x88);
    });
    same("vshufps ymm7,ymm12,ymm9,0xdd", |asm| {
        asm.vec_imm(Width::Ymm, ops::SHUFPS, Vector(7), Vector(12), Vector(9), 0xdd);
    });
    same("vpermpd zmm17,zmm30,0x55", |asm| {
        asm.vec_imm(zmm, ops::PERMPD, Vector(17), Vector(0), Vector(30), 0x55);
    });
    same("vpermpd ymm7,ymm9,0xaa", |asm| {
        asm.vec_imm(Width::Ymm, ops::PERMPD, Vector(7), Vector(0), Vector(9), 0xaa);
    });
    let half: Rm = Mem::at(Gpr(13), 0x10).into();
    same("vinsertf64x4 zmm17,zmm20,[r13+0x10],1", |asm| {
        asm.vec_imm(zmm, ops::INSERTF64X4, Vector(17), Vector(20), Mem::at(Gpr(13), 0x10), 1);
    });
    same("vextractf64x4 [r13+0x10],zmm17,1", |asm| {
        asm.vec_imm(zmm, ops::EXTRACTF64X4, Vector(17), Vector(0), Mem::at(Gpr(13), 0x10), 1);
    });
    same("vinsertf128 ymm7,ymm12,[r13+0x10],1", |asm| {
        asm.vex_imm(ops::INSERTF128, true, 7, 12, half, 1);
    });
    same("vextractf128 [r13+0x10],ymm7,1", |asm| {
        asm.vex_imm(ops::EXTRACTF128, true, 7, 0, half, 1);
    });
    same("vmovq xmm7,[r13+0x10]", |asm| asm.vex(ops::MOVQ_LOAD, false, 7, 0, half, 0));
    same("vmovhps xmm7,xmm12,[r13+0x10]", |asm| {
        asm.vex(ops::MOVHPS_LOAD, false, 7, 12, half, 0);
    });
    same("vmovhps [r13+0x10],xmm7", |asm| asm.vex(ops::MOVHPS_STORE, false, 7, 0, half, 0));
    for (which, mnemonic) in [(2, "vpsrld"), (4, "vpsrad"), (6, "vpslld")] {
        same(&format!("{mnemonic} zmm20,zmm9,5"), |asm| {
            asm.vec_raw_imm(zmm, ops::PSHIFTD, which, Vector(20), Vector(9), 5);
        });
        same(&format!("{mnemonic} ymm12,ymm9,5"), |asm| {
            asm.vec_raw_imm(Width::Ymm, ops::PSHIFTD, which, Vector(12), Vector(9), 5);
        });
    }
    same("vcmpltps k5,zmm20,zmm9", |asm| {
        asm.vec_raw_imm(zmm, ops::CMPPS, 5, Vector(20), Vector(9), 1)
    });
    same("vcmpltps ymm5,ymm12,ymm9", |asm| {
        asm.vec_imm(Width::Ymm, ops::CMPPS, Vector(5), Vector(12), Vector(9), 1);
    });
    same("vpcmpltd k5,zmm20,zmm9", |asm| {
        asm.vec_raw_imm(zmm, ops::PCMPD, 5, Vector(20), Vector(9), 1)
    });
    same("vpcmpleud k5,zmm20,zmm9", |asm| {
        asm.vec_raw_imm(zmm, ops::PCMPUD, 5, Vector(20), Vector(9), 2)
    });
    same("vcmpleps k5{k3},zmm20,zmm9", |asm| {
        asm.masked_imm(ops::CMPPS, Mask(3), 5, Vector(20), Vector(9), 2);
    });
    same("vpcmpltd k5{k3},zmm20,zmm9", |asm| {
        asm.masked_imm(ops::PCMPD, Mask(3), 5, Vector(20), Vector(9), 1);
    });
    same("vpcmpltud k2{k2},zmm20,[r12+0x40]", |asm| {
        let mem = Mem::at(Gpr(12), 0x40);
        asm.masked_imm(ops::PCMPUD, Mask(2), 2, Vector(20), mem, 1);
    });
    same("vpcmpeqd ymm1,ymm12,ymm9", |asm| {
        asm.vec(Width::Ymm, ops::PCMPEQD, Vector(1), Vector(12), Vector(9));
    });
    same("vpcmpgtd ymm1,ymm12,ymm9", |asm| {
        asm.vec(Width::Ymm, ops::PCMPGTD, Vector(1), Vector(12), Vector(9));
    });
    same("vblendvps ymm1,ymm12,ymm9,ymm14", |asm| {
        asm.vec_imm(Width::Ymm, ops::BLENDVPS, Vector(1), Vector(12), Vector(9), 14 << 4);
    });
    same("vpbroadcastd zmm19,r13d", |asm| {
        asm.vec(zmm, ops::PBROADCASTD_GPR, Vector(19), Vector(0), Gpr(13));
    });
    same("vmovd xmm12,r13d", |asm| asm.vex(ops::MOVD, false, 12, 0, Gpr(13).into(), 0));
    same("vmovd r13d,xmm12", |asm| asm.vex(ops::MOVD_STORE, false, 12, 0, Gpr(13).into(), 0));
    same("vpbroadcastd ymm12,xmm3", |asm| {
        asm.vec(Width::Ymm, ops::PBROADCASTD, Vector(12), Vector(0), Vector(3));
    });
    same("vmovmskps r9d,ymm12", |asm| asm.vex(ops::MOVMSKPS, true, 9, 0, Vector(12).into(), 0));
    let mem = Mem::at(Gpr(12), 0x40);
    for (op, mnemonic) in [
        (ops::BROADCASTSS, "vbroadcastss"),
        (ops::PMOVSXBD, "vpmovsxbd"),
        (ops::PMOVSXWD, "vpmovsxwd"),
        (ops::PMOVZXBD, "vpmovzxbd"),
        (ops::PMOVZXWD, "vpmovzxwd"),
        (ops::CVTPH2PS, "vcvtph2ps"),
    ] {
        same(&format!("{mnemonic} zmm25,[r12+0x40]"), |asm| {
            asm.vec(zmm, op, Vector(25), Vector(0), mem)
        });
        same(&format!("{mnemonic} ymm5,[r12+0x40]"), |asm| {
            asm.vec(Width::Ymm, op, Vector(5), Vector(0), mem);
        });
    }
    same("vmovups [r12+0x40],zmm25", |asm| {
        asm.vec(zmm, ops::MOVUPS_STORE, Vector(25), Vector(0), mem)
    });
    same("vmovups [r12+0x40]{k4},zmm25", |asm| {
        asm.masked(ops::MOVUPS_STORE, Mask(4), Vector(25), Vector(0), mem);
    });
    same("vpmovdb [r12+0x40]{k4},zmm25", |asm| {
        asm.masked(ops::PMOVDB, Mask(4), Vector(25), Vector(0), mem);
    });
    same("vpmovdw [r12+0x40]{k4},zmm25", |asm| {
        asm.masked(ops::PMOVDW, Mask(4), Vector(25), Vector(0), mem);
    });
    for (op, mnemonic, both) in [
        (ops::CVTDQ2PD, "vcvtdq2pd", true),
        (ops::CVTUDQ2PD, "vcvtudq2pd", false),
        (ops::PMOVZXDQ, "vpmovzxdq", true),
    ] {
        for (rm, long, short) in
            [(Rm::from(Vector(3)), "ymm3", "xmm3"), (mem.into(), "[r12+0x40]", "[r12+0x40]")]
        {
            same(&format!("{mnemonic} zmm25,{long}"), |asm| {
                asm.vec(zmm, op, Vector(25), Vector(0), rm)
            });
            if both {
                same(&format!("{mnemonic} ymm5,{short}"), |asm| {
                    asm.vec(Width::Ymm, op, Vector(5), Vector(0), rm);
                });
            }
        }
    }
    same("vcvttpd2dq ymm25,zmm3", |asm| {
        asm.vec(zmm, ops::CVTTPD2DQ, Vector(25), Vector(0), Vector(3))
    });
    same("vcvttpd2dq xmm5,ymm3", |asm| {
        asm.vec(Width::Ymm, ops::CVTTPD2DQ, Vector(5), Vector(0), Vector(3));
    });
    same("vcvttpd2udq ymm25,zmm3", |asm| {
        asm.vec(zmm, ops::CVTTPD2UDQ, Vector(25), Vector(0), Vector(3));
    });
    for (which, mnemonic) in [(2, "vpsrlq"), (6, "vpsllq")] {
        same(&format!("{mnemonic} zmm20,zmm9,0x20"), |asm| {
            asm.vec_raw_imm(zmm, ops::PSHIFTQ, which, Vector(20), Vector(9), 32);
        });
        same(&format!("{mnemonic} ymm12,ymm9,0x20"), |asm| {
            asm.vec_raw_imm(Width::Ymm, ops::PSHIFTQ, which, Vector(12), Vector(9), 32);
        });
    }
    same("vroundpd ymm7,ymm9,0xb", |asm| {
        asm.vec_imm(Width::Ymm, ops::ROUNDPD, Vector(7), Vector(0), Vector(9), 11);
    });
    for (op, mnemonic) in [(ops::SHUFPS, "vshufps"), (ops::BLENDPS, "vblendps")] {
        same(&format!("{mnemonic} ymm7,ymm9,ymm12,0xaa"), |asm| {
            asm.vec_imm(Width::Ymm, op, Vector(7), Vector(9), Vector(12), 0xaa);
        });
    }
    same("vextractf64x4 ymm3,zmm25,1", |asm| {
        asm.vec_raw_imm(zmm, ops::EXTRACTF64X4, 25, Vector(0), Vector(3), 1);
    });
    same("vextractf128 xmm3,ymm5,1", |asm| {
        asm.vec_raw_imm(Width::Ymm, ops::EXTRACTF128, 5, Vector(0), Vector(3), 1);
    });
    same("vinsertf64x4 zmm25,zmm9,ymm3,1", |asm| {
        asm.vec_imm(zmm, ops::INSERTF64X4, Vector(25), Vector(9), Vector(3), 1);
    });
    same("vinsertf128 ymm5,ymm9,xmm3,1", |asm| {
        asm.vec_imm(Width::Ymm, ops::INSERTF128, Vector(5), Vector(9), Vector(3), 1);
    });
    same("vbroadcastf32x4 zmm25,[r12+0x40]", |asm| {
        asm.vec(zmm, ops::BROADCASTF128, Vector(25), Vector(0), mem);
    });
    same("vbroadcastf128 ymm5,[r12+0x40]", |asm| {
        asm.vec(Width::Ymm, ops::BROADCASTF128, Vector(5), Vector(0), mem);
    });
    same("vextractf32x4 [r12+0x40],zmm25,3", |asm| {
        asm.vec_imm(zmm, ops::EXTRACTF128, Vector(25), Vector(0), mem, 3);
    });
    same("vinsertf32x4 zmm25,zmm9,[r12+0x40],3", |asm| {
        asm.vec_imm(zmm, ops::INSERTF128, Vector(25), Vector(9), mem, 3);
    });
    same("vinsertf128 ymm5,ymm9,[r12+0x40],1", |asm| {
        asm.vec_imm(Width::Ymm, ops::INSERTF128, Vector(5), Vector(9), mem, 1);
    });
    same("pdep r9d,r10d,[r12+0x40]", |asm| asm.vex(ops::PDEP, false, 9, 10, mem.into(), 0));
    same("vcvtph2ps zmm25,ymm3", |asm| {
        asm.vec(zmm, ops::CVTPH2PS, Vector(25), Vector(0), Vector(3))
    });
    same("vcvtph2ps ymm5,xmm3", |asm| {
        asm.vec(Width::Ymm, ops::CVTPH2PS, Vector(5), Vector(0), Vector(3));
    });
    same("vcvtps2ph ymm3,zmm25,0", |asm| {
        asm.vec_raw_imm(zmm, ops::CVTPS2PH, 25, Vector(0), Vector(3), 0);
    });
    same("vcvtps2ph xmm3,ymm5,0", |asm| {
        asm.vec_raw_imm(Width::Ymm, ops::CVTPS2PH, 5, Vector(0), Vector(3), 0);
    });
    same("vpmovdw ymm3,zmm25", |asm| asm.vec(zmm, ops::PMOVDW, Vector(25), Vector(0), Vector(3)));
    same("vpermq ymm3,ymm12,8", |asm| {
        asm.vec_imm(Width::Ymm, ops::PERMQ, Vector(3), Vector(0), Vector(12), 8);
    });
    same("vptestnmd k1{k1},zmm25,zmm3", |asm| {
        asm.masked(ops::PTESTNMD, Mask(1), Vector(1), Vector(25), Vector(3));
    });
    same("vmovq [r12+0x40],xmm9", |asm| asm.vex(ops::MOVQ_STORE, false, 9, 0, mem.into(), 0));
    same("vmovups [r12+0x40],xmm9", |asm| asm.vex(ops::MOVUPS_STORE, false, 9, 0, mem.into(), 0));
    same("vpextrb [r12+0x40],xmm9,5", |asm| asm.vex_imm(ops::PEXTRB, false, 9, 0, mem.into(), 5));
    same("vpextrw [r12+0x40],xmm9,5", |asm| asm.vex_imm(ops::PEXTRW, false, 9, 0, mem.into(), 5));
    same("vmaskmovps [r12+0x40],ymm3,ymm9", |asm| {
        asm.vec(Width::Ymm, ops::MASKMOVPS_STORE, Vector(9), Vector(3), mem);
    });
    for index in [3u8, 12, 21] {
        let at = Mem {
            base: Base::Gpr(Gpr(13)),
            index: Some((Index::Vector(Vector(index)), 0)),
            disp: 8,
        };
        same(&format!("vgatherdps zmm25,k1,[r13+zmm{index}+8]"), |asm| {
            asm.masked(ops::GATHERDPS, Mask(1), Vector(25), Vector(0), at);
        });
        same(&format!("vscatterdps [r13+zmm{index}+8],k1,zmm25"), |asm| {
            asm.masked(ops::SCATTERDPS, Mask(1), Vector(25), Vector(0), at);
        });
        if index < 16 {
            same(&format!("vgatherdps ymm5,[r13+ymm{index}+8],ymm9"), |asm| {
                asm.vec(Width::Ymm, ops::GATHERDPS, Vector(5), Vector(9), at);
            });
        }
    }
}

#[test]
fn masks() {
    for (op, mnemonic) in
        [(ops::KANDW, "kandw"), (ops::KANDNW, "kandnw"), (ops::KORW, "korw"), (ops::KXORW, "kxorw")]
    {
        same(&format!("{mnemonic} k7,k2,k5"), |asm| asm.mask3(op, Mask(7), Mask(2), Mask(5)));
    }
    same("knotw k7,k2", |asm| asm.mask2(ops::KNOTW, 7, Mask(2)));
    same("kortestw k7,k2", |asm| asm.mask2(ops::KORTESTW, 7, Mask(2)));
    same("kmovw k7,k2", |asm| asm.mask2(ops::KMOVW, 7, Mask(2)));
    same("kmovw k7,[r12+0x40]", |asm| asm.mask2(ops::KMOVW, 7, Mem::at(Gpr(12), 0x40)));
    same("kmovw [r12+0x40],k7", |asm| asm.mask2(ops::KMOVW_STORE, 7, Mem::at(Gpr(12), 0x40)));
    same("kmovw k7,r13d", |asm| asm.mask2(ops::KMOVW_FROM_GPR, 7, Gpr(13)));
    same("kmovw r13d,k7", |asm| asm.mask2(ops::KMOVW_TO_GPR, 13, Mask(7)));
}
