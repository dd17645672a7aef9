//! Texts of instructions, for listings: what the encoder wrote is read again, by the tables of what it can write.
//!
//! A text has operands in braces:
//!
//! | operand | stands for |
//! |---|---|
//! | `r`, `v`, `m` | the vector in ModRM's register field, in the prefix, and in ModRM's other field, which may be memory |
//! | `rx`, `mh`, `mq`, … | the same with 128 bits (`x`), half or a quarter of the instruction's width |
//! | `rk`, `vk`, `mk` | the same as masks |
//! | `mv` | memory with an index for each lane |
//! | `k`, `fourth` | the mask of the prefix, and the vector that the immediate names |
//! | `R`, `V`, `M` | general-purpose registers, or memory, of 32 bits, or of 64 if the prefix says so |
//! | `M8`, `M16`, `M32`, `M64`, `R8`, … | the same with as many bits |
//! | `O`, `O64` | the general-purpose register in the opcode's lowest bits |
//! | `Ms`, `M8s`, … | the same with the size of memory, where nothing else says it |
//! | `u8`, `i8`, `i32`, `i64` | immediates without and with a sign; the last has four bytes or eight |
//! | `j` | the address that a jump goes to |
//! | `cc`, `shift` | a condition, by the opcode's lowest bits, and a shift, by ModRM's register field |

use super::ops;

/// An instruction without a VEX or EVEX prefix.
struct Plain {
    /// The prefix before the REX prefix, 0 for none.
    prefix: u8,
    opcode: &'static [u8],
    /// How many values of the last byte are this instruction.
    count: u8,
    /// The value of ModRM's register field, if it is a part of the opcode.
    digit: Option<u8>,
    text: &'static str,
    /// The text with a REX prefix that says 64 bits, if it is another.
    wide: &'static str,
}

const fn plain(opcode: &'static [u8], text: &'static str) -> Plain {
    Plain { prefix: 0, opcode, count: 1, digit: None, text, wide: text }
}

const fn digit(opcode: &'static [u8], digit: u8, text: &'static str) -> Plain {
    Plain { digit: Some(digit), ..plain(opcode, text) }
}

const fn several(opcode: &'static [u8], count: u8, text: &'static str) -> Plain {
    Plain { count, ..plain(opcode, text) }
}

const fn prefixed(prefix: u8, opcode: &'static [u8], text: &'static str) -> Plain {
    Plain { prefix, ..plain(opcode, text) }
}

/// The instructions without a VEX or EVEX prefix that the encoder has methods for.
const PLAIN: &[Plain] = &[
    several(&[0xb8], 8, "mov {O}, {i64}"),
    digit(&[0xc7], 0, "mov {Ms}, {i32}"),
    plain(&[0x8b], "mov {R}, {M}"),
    plain(&[0x88], "mov {M8}, {R8}"),
    prefixed(0x66, &[0x89], "mov {M16}, {R16}"),
    plain(&[0x89], "mov {M}, {R}"),
    plain(&[0x0f, 0xb6], "movzx {R}, {M8s}"),
    plain(&[0x0f, 0xbe], "movsx {R}, {M8s}"),
    plain(&[0x0f, 0xb7], "movzx {R}, {M16s}"),
    plain(&[0x0f, 0xbf], "movsx {R}, {M16s}"),
    plain(&[0x63], "movsxd {R}, {M32s}"),
    plain(&[0x03], "add {R}, {M}"),
    plain(&[0x0b], "or {R}, {M}"),
    plain(&[0x1b], "sbb {R}, {M}"),
    plain(&[0x23], "and {R}, {M}"),
    plain(&[0x2b], "sub {R}, {M}"),
    plain(&[0x33], "xor {R}, {M}"),
    plain(&[0x3b], "cmp {R}, {M}"),
    plain(&[0x01], "add {M}, {R}"),
    plain(&[0x09], "or {M}, {R}"),
    plain(&[0x19], "sbb {M}, {R}"),
    plain(&[0x21], "and {M}, {R}"),
    plain(&[0x29], "sub {M}, {R}"),
    plain(&[0x31], "xor {M}, {R}"),
    plain(&[0x39], "cmp {M}, {R}"),
    digit(&[0x83], 0, "add {Ms}, {i8}"),
    digit(&[0x83], 1, "or {Ms}, {i8}"),
    digit(&[0x83], 3, "sbb {Ms}, {i8}"),
    digit(&[0x83], 4, "and {Ms}, {i8}"),
    digit(&[0x83], 5, "sub {Ms}, {i8}"),
    digit(&[0x83], 6, "xor {Ms}, {i8}"),
    digit(&[0x83], 7, "cmp {Ms}, {i8}"),
    digit(&[0x81], 0, "add {Ms}, {i32}"),
    digit(&[0x81], 1, "or {Ms}, {i32}"),
    digit(&[0x81], 3, "sbb {Ms}, {i32}"),
    digit(&[0x81], 4, "and {Ms}, {i32}"),
    digit(&[0x81], 5, "sub {Ms}, {i32}"),
    digit(&[0x81], 6, "xor {Ms}, {i32}"),
    digit(&[0x81], 7, "cmp {Ms}, {i32}"),
    plain(&[0x8d], "lea {R}, {M}"),
    digit(&[0xff], 4, "jmp {M64s}"),
    digit(&[0xff], 2, "call {M64s}"),
    plain(&[0x85], "test {M}, {R}"),
    digit(&[0xf7], 0, "test {Ms}, {i32}"),
    digit(&[0xf7], 2, "not {Ms}"),
    digit(&[0xf7], 3, "neg {Ms}"),
    digit(&[0xf7], 6, "div {Ms}"),
    digit(&[0xf7], 7, "idiv {Ms}"),
    plain(&[0x0f, 0xaf], "imul {R}, {M}"),
    plain(&[0x69], "imul {R}, {M}, {i32}"),
    digit(&[0xc1], 4, "shl {Ms}, {u8}"),
    digit(&[0xc1], 5, "shr {Ms}, {u8}"),
    digit(&[0xc1], 7, "sar {Ms}, {u8}"),
    prefixed(0xf3, &[0x0f, 0xbc], "tzcnt {R}, {M}"),
    plain(&[0x0f, 0xbd], "bsr {R}, {M}"),
    plain(&[0x87], "xchg {M}, {R}"),
    prefixed(0xf0, &[0x0f, 0xc1], "lock xadd {M}, {R}"),
    prefixed(0xf0, &[0x0f, 0xb1], "lock cmpxchg {M}, {R}"),
    Plain { wide: "cqo", ..plain(&[0x99], "cdq") },
    several(&[0x0f, 0x90], 16, "set{cc} {M8}"),
    several(&[0x0f, 0x40], 16, "cmov{cc} {R}, {M}"),
    several(&[0x0f, 0x80], 16, "j{cc} {j}"),
    plain(&[0xe9], "jmp {j}"),
    plain(&[0xe8], "call {j}"),
    several(&[0x50], 8, "push {O64}"),
    several(&[0x58], 8, "pop {O64}"),
    plain(&[0xc3], "ret"),
];

/// The suffixes of conditions, by number.
const CONDITIONS: [&str; 16] =
    ["o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g"];

/// The names of general-purpose registers with 64, 32, 16 and 8 bits.
pub(crate) const GENERAL: [[&str; 16]; 4] = [
    [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
        "r13", "r14", "r15",
    ],
    [
        "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d",
        "r12d", "r13d", "r14d", "r15d",
    ],
    [
        "ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r9w", "r10w", "r11w", "r12w",
        "r13w", "r14w", "r15w",
    ],
    [
        "al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b",
        "r13b", "r14b", "r15b",
    ],
];

/// The prefixes of an instruction and the byte after its opcode, and what is read of the rest.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The bits W, and those that extend ModRM's register, index and base.
    wide: bool,
    reg: u8,
    index: u8,
    base: u8,
    /// The register in a prefix.
    vvvv: u8,
    /// The fifth bit of an index for each lane.
    fifth: u8,
    mask: u8,
    /// The bits of the vectors: 128, 256 or 512.
    width: u32,
    /// The last byte of the opcode.
    opcode: u8,
    modrm: Option<u8>,
}

/// The length and the text of the instruction at an offset. `None` if the encoder never writes it.
pub(crate) fn text(bytes: &[u8], at: usize) -> Option<(usize, String)> {
    let mut reader = Reader {
        bytes,
        at,
        wide: false,
        reg: 0,
        index: 0,
        base: 0,
        vvvv: 0,
        fifth: 0,
        mask: 0,
        width: 0,
        opcode: 0,
        modrm: None,
    };
    let text = match *bytes.get(at)? {
        // The encoder has VEX prefixes of two bytes for this alone.
        0xc5 if bytes.get(at..at + 3)? == [0xc5, 0xf8, 0x77] => {
            return Some((3, "vzeroupper".to_owned()));
        }
        0xc4 => reader.vex()?,
        0x62 => reader.evex()?,
        _ => reader.plain()?,
    };
    let text = reader.filled(text)?;
    Some((reader.at - at, text))
}

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        self.at += 1;
        self.bytes.get(self.at - 1).copied()
    }

    fn number<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.at += N;
        self.bytes.get(self.at - N..self.at)?.try_into().ok()
    }

    /// Reads prefixes and opcode of an instruction in [`PLAIN`].
    fn plain(&mut self) -> Option<&'static str> {
        let mut byte = self.byte()?;
        let mut prefix = 0;
        if [0x66, 0xf0, 0xf3].contains(&byte) {
            prefix = byte;
            byte = self.byte()?;
        }
        if byte & 0xf0 == 0x40 {
            self.wide = byte & 8 != 0;
            [self.reg, self.index, self.base] = [byte << 1 & 8, byte << 2 & 8, byte << 3 & 8];
            byte = self.byte()?;
        }
        let mut opcode = vec![byte];
        if byte == 0x0f {
            opcode.push(self.byte()?);
        }
        self.opcode = *opcode.last()?;
        let next = self.bytes.get(self.at).copied();
        let row = PLAIN.iter().find(|row| {
            let [first @ .., last] = row.opcode else { return false };
            row.prefix == prefix
                && opcode.len() == row.opcode.len()
                && opcode.starts_with(first)
                && (*last..=*last + (row.count - 1)).contains(&self.opcode)
                && row.digit.is_none_or(|digit| next.is_some_and(|next| next >> 3 & 7 == digit))
        })?;
        let text = if self.wide { row.wide } else { row.text };
        if row.digit.is_some() || needs_modrm(text) {
            self.modrm = Some(self.byte()?);
        }
        Some(text)
    }

    /// Reads a VEX prefix of three bytes, opcode and ModRM.
    fn vex(&mut self) -> Option<&'static str> {
        let [_, first, second, opcode, modrm] = self.number()?;
        self.width = if second & 4 == 0 { 128 } else { 256 };
        self.vvvv = !second >> 3 & 15;
        self.prefixed(first, second, opcode, modrm, first & 0x1f)
    }

    /// Reads an EVEX prefix, opcode and ModRM.
    fn evex(&mut self) -> Option<&'static str> {
        let [_, first, second, third, opcode, modrm] = self.number()?;
        // Other widths, broadcasts and zeroing are not in use.
        if third & 0xf0 != 0x40 || second & 4 == 0 {
            return None;
        }
        self.width = 512;
        self.mask = third & 7;
        self.fifth = !third << 1 & 0x10;
        self.vvvv = !second >> 3 & 15;
        let text = self.prefixed(first, second, opcode, modrm, first & 15)?;
        self.reg |= !first & 0x10;
        Some(text)
    }

    /// Takes the bits that both prefixes have in the same positions, and finds the row.
    fn prefixed(
        &mut self,
        first: u8,
        second: u8,
        opcode: u8,
        modrm: u8,
        map: u8,
    ) -> Option<&'static str> {
        [self.reg, self.index, self.base] = [!first >> 4 & 8, !first >> 3 & 8, !first >> 2 & 8];
        self.wide = second & 0x80 != 0;
        self.opcode = opcode;
        self.modrm = Some(modrm);
        let (_, texts) = ops::ALL.iter().find(|(op, texts)| {
            // Of general-purpose registers, W is the width.
            let general = texts[0].contains("{V}");
            (op.map, op.pp, op.code) == (map, second & 3, opcode) && (general || op.w == self.wide)
        })?;
        let evex = self.width == 512;
        let text = *if evex { texts.last() } else { texts.first() }?;
        // The prefix has one field for the fifth bits of a register and of an index for each lane.
        if !text.contains("{mv}") {
            self.vvvv |= self.fifth;
        }
        Some(text)
    }

    /// The text with its operands.
    fn filled(&mut self, text: &str) -> Option<String> {
        let mut parts = text.split('{');
        let mut filled = parts.next()?.to_owned();
        // Displacements come before immediates, whatever the order of operands is.
        let memory = match self.modrm {
            Some(modrm) if modrm >> 6 != 3 => {
                let after = if text.contains("{u8}") || text.contains("{fourth}") { 1 } else { 0 };
                Some(self.memory(modrm, text.contains("{mv}"), after)?)
            }
            _ => None,
        };
        for (number, part) in parts.enumerate() {
            let (name, rest) = part.split_once('}')?;
            filled += &self.operand(name, memory.as_deref())?;
            if number == 0 && self.mask != 0 && !text.contains("{k}") {
                filled += &format!("{{k{}}}", self.mask);
            }
            filled += rest;
        }
        Some(filled)
    }

    fn operand(&mut self, name: &str, memory: Option<&str>) -> Option<String> {
        let (kind, size) = name.split_at(1);
        let modrm = self.modrm.unwrap_or_default();
        let low = modrm & 7 | self.base;
        let reg = modrm >> 3 & 7 | self.reg;
        match (kind, name) {
            (_, "u8") => return Some(hex(self.byte()?.into())),
            (_, "i8") => {
                let number = i64::from(self.byte()? as i8);
                return Some(hex(if self.wide { number as u64 } else { number as u32 as u64 }));
            }
            (_, "i32") => {
                let number = i64::from(i32::from_le_bytes(self.number()?));
                return Some(hex(if self.wide { number as u64 } else { number as u32 as u64 }));
            }
            (_, "i64") if self.wide => return Some(hex(u64::from_le_bytes(self.number()?))),
            (_, "i64") => return Some(hex(u32::from_le_bytes(self.number()?).into())),
            (_, "j") => {
                let distance = i32::from_le_bytes(self.number()?);
                return Some(hex((self.at as u64).wrapping_add_signed(distance.into())));
            }
            (_, "cc") => return Some(CONDITIONS[usize::from(self.opcode & 15)].to_owned()),
            (_, "shift") => {
                let name = match modrm >> 3 & 7 {
                    2 => "rl",
                    4 => "ra",
                    6 => "ll",
                    _ => return None,
                };
                return Some(name.to_owned());
            }
            (_, "k") => return Some(format!("k{}", self.mask)),
            (_, "fourth") => {
                let number = self.byte()? >> 4;
                return Some(vector(self.width, number));
            }
            ("m" | "M", _) => {
                if let Some(memory) = memory {
                    let size = match size.strip_suffix('s') {
                        Some("") if self.wide => "qword ptr ",
                        Some("" | "32") => "dword ptr ",
                        Some("64") => "qword ptr ",
                        Some("16") => "word ptr ",
                        Some("8") => "byte ptr ",
                        _ => "",
                    };
                    return Some(format!("{size}{memory}"));
                }
            }
            _ => {}
        }
        let number = match kind {
            "r" | "R" => reg,
            "v" | "V" => self.vvvv,
            "O" => self.opcode & 7 | self.base,
            // A vector's fifth bit is where an index has its fourth.
            "m" if self.width == 512 => low | self.index << 1,
            _ => low,
        };
        Some(match kind {
            "r" | "v" | "m" => match size {
                "" => vector(self.width, number),
                "x" => vector(128, number),
                "h" => vector((self.width / 2).max(128), number),
                "q" => vector((self.width / 4).max(128), number),
                "k" => format!("k{}", number & 7),
                _ => return None,
            },
            _ => {
                let names = match size.trim_end_matches('s') {
                    "" if self.wide => 0,
                    "" | "32" => 1,
                    "64" => 0,
                    "16" => 2,
                    "8" => 3,
                    _ => return None,
                };
                GENERAL[names][usize::from(number)].to_owned()
            }
        })
    }

    /// An operand in memory; `after` bytes follow its displacement.
    fn memory(&mut self, modrm: u8, each_lane: bool, after: usize) -> Option<String> {
        let (size, low) = (modrm >> 6, modrm & 7);
        if size == 0 && low == 5 {
            let distance = i32::from_le_bytes(self.number()?);
            let next = (self.at + after) as u64;
            return Some(format!("[{}]", hex(next.wrapping_add_signed(distance.into()))));
        }
        let mut base = low | self.base;
        let mut index = None;
        if low == 4 {
            let sib = self.byte()?;
            base = sib & 7 | self.base;
            let number = sib >> 3 & 7 | self.index;
            index = match each_lane {
                true => Some((vector(self.width, number | self.fifth), sib >> 6)),
                false if number == 4 => None,
                false => Some((GENERAL[0][usize::from(number)].to_owned(), sib >> 6)),
            };
        }
        let mut text = format!("[{}", GENERAL[0][usize::from(base)]);
        if let Some((index, scale)) = index {
            text += &format!("+{index}");
            if scale != 0 {
                text += &format!("*{}", 1 << scale);
            }
        }
        let distance = match size {
            0 => 0,
            1 => i32::from(self.byte()? as i8),
            _ => i32::from_le_bytes(self.number()?),
        };
        match distance {
            0 => {}
            1.. => text += &format!("+{}", hex(distance as u64)),
            _ => text += &format!("-{}", hex(distance.unsigned_abs().into())),
        }
        Some(text + "]")
    }
}

/// Whether an instruction has a ModRM byte: it has operands that are in it.
fn needs_modrm(text: &str) -> bool {
    text.contains("{M") || text.contains("{R")
}

fn vector(width: u32, number: u8) -> String {
    let file = match width {
        128 => 'x',
        256 => 'y',
        _ => 'z',
    };
    format!("{file}mm{number}")
}

/// A number with a prefix, unless it has one digit that means the same.
fn hex(number: u64) -> String {
    if number < 10 { number.to_string() } else { format!("{number:#x}") }
}
