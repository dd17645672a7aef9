//! The vocabulary of a GGUF file: text to tokens and back, for SentencePiece (`llama`) and for byte pairs (`gpt2`).
//!
//! Both begin with characters and merge neighbours, the best pair first: SentencePiece the one whose token has the highest score,
//! byte pairs the one that is listed first. Control tokens within a prompt are text.

use super::Result;
use aruminium::infer::weights::{Array, Gguf, Value};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// How a text is divided before pairs are merged.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Not at all: a space is the character `▁`, and a token of its own begins a text.
    SentencePiece { prefix: bool },
    /// Into words, numbers, signs and spaces, of which each byte is a character; as GPT-2 or Llama 3 divide.
    BytePairs { llama3: bool },
}

/// The vocabulary of a file.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    kind: Kind,
    tokens: Vec<String>,
    by_text: HashMap<String, i32>,
    /// Of SentencePiece, for each token; higher is better.
    scores: Vec<f32>,
    /// Of byte pairs, by their two parts; lower is better.
    merges: HashMap<(String, String), u32>,
    /// Tokens that are no text.
    control: Vec<bool>,
    /// The token before a prompt, and those that end a text.
    begin: Option<i32>,
    ends: Vec<i32>,
}

impl Vocabulary {
    /// `None` if the file has none.
    pub(crate) fn of(file: &Gguf) -> Result<Option<Self>> {
        let value = |key: &str| file.meta(&format!("tokenizer.ggml.{key}"));
        let array = |key: &str| value(key).and_then(Value::as_array);
        let Some(tokens) = array("tokens").and_then(Array::as_strings) else { return Ok(None) };
        let flag = |key: &str, otherwise: bool| match value(key) {
            Some(Value::Bool(flag)) => *flag,
            _ => otherwise,
        };
        let model = value("model").and_then(Value::as_str).unwrap_or("llama");
        let pre = value("pre").and_then(Value::as_str).unwrap_or("gpt-2");
        let kind = match (model, pre) {
            ("llama", _) => Kind::SentencePiece { prefix: flag("add_space_prefix", true) },
            ("gpt2", "llama-bpe" | "llama3" | "llama-v3") => Kind::BytePairs { llama3: true },
            ("gpt2", "gpt-2" | "gpt2" | "default") => Kind::BytePairs { llama3: false },
            ("gpt2", other) => {
                return Err(format!(
                    "texts are divided by the rules of {other:?}, which are unknown here"
                )
                .into());
            }
            (other, _) => {
                return Err(format!("a tokenizer of the kind {other:?} is not supported").into());
            }
        };
        let spaced = matches!(kind, Kind::SentencePiece { .. });
        let scores = match array("scores") {
            Some(Array::F32(scores)) if scores.len() == tokens.len() => scores.clone(),
            // Vocabularies are in the order of their merges.
            _ => (0..tokens.len()).map(|i| -(i as f32)).collect(),
        };
        let merges = array("merges").and_then(Array::as_strings).unwrap_or_default();
        let merges = merges.iter().zip(0..).filter_map(|(pair, rank)| {
            let (one, other) = pair.split_once(' ')?;
            Some(((one.to_owned(), other.to_owned()), rank))
        });
        let merges: HashMap<_, _> = merges.collect();
        if !spaced && merges.is_empty() {
            return Err("the vocabulary of byte pairs has no merges".into());
        }
        let control = match array("token_type") {
            // 2 is the unknown token, 3 a control token.
            Some(Array::I32(types)) => types.iter().map(|ty| matches!(ty, 2 | 3)).collect(),
            _ => Vec::new(),
        };
        let id =
            |key: &str| value(key).and_then(Value::as_u64).and_then(|id| i32::try_from(id).ok());
        // As llama.cpp does for files that do not say it.
        let begins = flag("add_bos_token", spaced || kind == Kind::BytePairs { llama3: true });
        Ok(Some(Self {
            kind,
            by_text: tokens.iter().cloned().zip(0..).collect(),
            tokens: tokens.to_vec(),
            scores,
            merges,
            control,
            begin: id("bos_token_id").filter(|_| begins),
            ends: ["eos_token_id", "eot_token_id"].into_iter().filter_map(id).collect(),
        }))
    }

    /// Whether a token ends a text.
    pub(crate) fn ends(&self, token: i32) -> bool {
        self.ends.contains(&token)
    }

    /// The tokens of a prompt, with the one that begins it, if the vocabulary has one.
    pub(crate) fn prompt(&self, text: &str) -> Vec<i32> {
        self.begin.into_iter().chain(self.encode(text)).collect()
    }

    /// The tokens of a text.
    pub(crate) fn encode(&self, text: &str) -> Vec<i32> {
        let mut tokens = Vec::new();
        match self.kind {
            _ if text.is_empty() => {}
            Kind::SentencePiece { prefix } => {
                let text = text.replace(' ', "▁");
                let text = if prefix { format!("▁{text}") } else { text };
                self.merge(&text, &mut tokens);
            }
            Kind::BytePairs { llama3 } => {
                for piece in pieces(text, llama3) {
                    let text: String = piece.bytes().map(char_of).collect();
                    match self.by_text.get(&text) {
                        // Llama 3 takes a word that is a token as a whole.
                        Some(token) if llama3 => tokens.push(*token),
                        _ => self.merge(&text, &mut tokens),
                    }
                }
            }
        }
        tokens
    }

    /// The rank of the token that two neighbours make: the lowest is merged first.
    fn rank(&self, one: &str, other: &str) -> Option<Rank> {
        match self.kind {
            Kind::SentencePiece { .. } => {
                let token = *self.by_text.get(&format!("{one}{other}"))?;
                Some(Rank(-self.scores[token as usize]))
            }
            Kind::BytePairs { .. } => {
                let rank = self.merges.get(&(one.to_owned(), other.to_owned()))?;
                Some(Rank(*rank as f32))
            }
        }
    }

    /// Merges neighbouring characters until no pair is a token, and adds the tokens.
    fn merge(&self, text: &str, tokens: &mut Vec<i32>) {
        // Parts of the text by their ends; a part that was merged into the one before it is empty.
        let mut parts: Vec<(usize, usize)> =
            text.char_indices().map(|(at, c)| (at, at + c.len_utf8())).collect();
        let count = parts.len();
        // For each part the one after it, and the one before it.
        let mut next: Vec<usize> = (1..=count).collect();
        let mut before: Vec<usize> = (0..count).map(|i| i.wrapping_sub(1)).collect();
        let mut heap = BinaryHeap::new();
        let part = |(start, end): (usize, usize)| &text[start..end];
        let consider =
            |heap: &mut BinaryHeap<_>, parts: &[(usize, usize)], one: usize, other: usize| {
                if let Some(rank) = self.rank(part(parts[one]), part(parts[other])) {
                    // Of equal pairs the first; the ends show later whether both are still what they were.
                    heap.push(Reverse((rank, one, other, parts[one].1, parts[other].1)));
                }
            };
        for one in 1..count {
            consider(&mut heap, &parts, one - 1, one);
        }
        while let Some(Reverse((_, one, other, middle, end))) = heap.pop() {
            let still = parts[one].1 == middle && parts[other] == (middle, end) && middle < end;
            if !still || parts[one].0 == middle {
                continue;
            }
            parts[one].1 = end;
            parts[other].0 = end;
            next[one] = next[other];
            if next[one] < count {
                before[next[one]] = one;
                consider(&mut heap, &parts, one, next[one]);
            }
            if before[one] < count {
                consider(&mut heap, &parts, before[one], one);
            }
        }
        for text in parts.into_iter().map(part).filter(|text| !text.is_empty()) {
            match self.by_text.get(text) {
                Some(token) => tokens.push(*token),
                // Bytes that have no token are left out.
                None => tokens
                    .extend(text.bytes().filter_map(|b| self.by_text.get(&format!("<0x{b:02X}>")))),
            }
        }
    }

    /// The bytes of a token: a character may take several tokens.
    pub(crate) fn bytes(&self, token: i32) -> Vec<u8> {
        let number = usize::try_from(token).unwrap_or(usize::MAX);
        let is_control = self.control.get(number) == Some(&true);
        let Some(text) = self.tokens.get(number).filter(|_| !is_control) else {
            return Vec::new();
        };
        match self.kind {
            Kind::SentencePiece { .. } => {
                let byte = text.strip_prefix("<0x").and_then(|text| text.strip_suffix('>'));
                match byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                    Some(byte) => vec![byte],
                    None => text.replace('▁', " ").into_bytes(),
                }
            }
            // Tokens that were added by hand are plain text.
            Kind::BytePairs { .. } => {
                match text.chars().map(byte_of).collect::<Option<Vec<u8>>>() {
                    Some(bytes) => bytes,
                    None => text.clone().into_bytes(),
                }
            }
        }
    }
}

/// A rank with an order.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rank(f32);

impl Eq for Rank {}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// Whether a byte is a character of its own in vocabularies of byte pairs.
fn is_shown(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff)
}

/// The character of a byte: itself if it can be shown, else one from 256 on, in order.
fn char_of(byte: u8) -> char {
    match is_shown(byte) {
        true => char::from(byte),
        false => {
            let hidden = (0..byte).filter(|&other| !is_shown(other)).count() as u32;
            char::from_u32(256 + hidden).unwrap_or(' ')
        }
    }
}

/// The reverse of [`char_of`].
fn byte_of(character: char) -> Option<u8> {
    match u8::try_from(u32::from(character)) {
        Ok(byte) => is_shown(byte).then_some(byte),
        Err(_) => {
            (0..=255).filter(|&byte| !is_shown(byte)).nth(u32::from(character) as usize - 256)
        }
    }
}

/// The pieces of a text within which pairs are merged. The rules are regular expressions, of which the first alternative that
/// matches is taken; GPT-2's:
///
/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
///
/// and Llama 3's:
///
/// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
pub(crate) fn pieces(text: &str, llama3: bool) -> Vec<&str> {
    let (mut rest, mut pieces) = (text, Vec::new());
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(piece(rest, llama3));
        pieces.push(piece);
        rest = others;
    }
    pieces
}

/// The length of the first piece of a text, in bytes.
fn piece(text: &str, llama3: bool) -> usize {
    let letter = |c: char| c.is_alphabetic();
    let digit = |c: char| c.is_numeric();
    let sign = |c: char| !c.is_whitespace() && !letter(c) && !digit(c);
    let line = |c: char| matches!(c, '\r' | '\n');
    // The length of the characters of a kind that a text begins with.
    let run = |text: &str, of: &dyn Fn(char) -> bool| text.find(|c| !of(c)).unwrap_or(text.len());
    let first = text.chars().next().map_or(0, char::len_utf8);

    let contractions = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];
    let same = |ending: &str| {
        let found = text.get(..ending.len());
        found.is_some_and(|found| found == ending || (llama3 && found.eq_ignore_ascii_case(ending)))
    };
    if let Some(ending) = contractions.into_iter().find(|ending| same(ending)) {
        return ending.len();
    }
    // Letters after a space, or in Llama 3 after any one character that is no letter, digit or line's end.
    let skips = |c: char| if llama3 { !line(c) && !letter(c) && !digit(c) } else { c == ' ' };
    let skipped = text.chars().next().filter(|&c| skips(c)).map_or(0, char::len_utf8);
    let letters = run(&text[skipped..], &letter);
    if letters > 0 {
        return skipped + letters;
    }
    let spaced = usize::from(text.starts_with(' '));
    if llama3 {
        let digits = text.chars().take(3).take_while(|&c| digit(c)).map(char::len_utf8).sum();
        if digits > 0 {
            return digits;
        }
    } else {
        let digits = run(&text[spaced..], &digit);
        if digits > 0 {
            return spaced + digits;
        }
    }
    let signs = run(&text[spaced..], &sign);
    if signs > 0 {
        let end = spaced + signs;
        return end + if llama3 { run(&text[end..], &line) } else { 0 };
    }
    let spaces = run(text, &char::is_whitespace);
    if let Some(last) = text[..spaces].rfind(line).filter(|_| llama3) {
        return last + 1;
    }
    // The last space belongs to the word after it.
    let last = text[..spaces].chars().next_back().map_or(0, char::len_utf8);
    if spaces < text.len() && spaces > last { spaces - last } else { spaces.max(first) }
}
