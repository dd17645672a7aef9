//! The example `generate`: its logits equal those of a transformer in `f64` with the same weights, for a prompt and for
//! tokens by a replayed graph, with scaled positions too; its program generates these tokens; and its vocabularies divide texts
//! as those of the models do.

#[allow(dead_code, reason = "`main` is not used")]
#[path = "../../../examples/generate/main.rs"]
mod generate;

use aruminium::Gpu;
use aruminium::infer::ops::Sample;
use aruminium::infer::weights::{Array, Entry, Gguf, Value};
use aruminium::infer::{DType, Graph, Ops, Stream};
use generate::vocabulary::Vocabulary;
use generate::{Config, Model, Task, prepare, run, write_random};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The model in `f64`, from the definition.
struct Reference {
    weights: BTreeMap<String, Vec<f64>>,
    config: Config,
    /// The divisor of each frequency.
    factors: Vec<f64>,
    /// Keys and values of each layer, token after token.
    keys: Vec<Vec<f64>>,
    values: Vec<Vec<f64>>,
}

impl Reference {
    fn weight(&self, name: &str) -> &[f64] {
        &self.weights[&format!("{name}.weight")]
    }

    fn product(&self, x: &[f64], name: &str) -> Vec<f64> {
        let dot = |row: &[f64]| row.iter().zip(x).map(|(w, x)| w * x).sum();
        self.weight(name).chunks(x.len()).map(dot).collect()
    }

    fn norm(&self, x: &[f64], name: &str) -> Vec<f64> {
        let mean = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
        let scale = (mean + f64::from(self.config.epsilon)).sqrt().recip();
        x.iter().zip(self.weight(name)).map(|(x, w)| x * scale * w).collect()
    }

    /// Rotates neighbours of each head.
    fn rope(&self, x: &mut [f64], position: usize) {
        for head in x.chunks_mut(self.config.dim) {
            for pair in 0..self.config.rotated / 2 {
                let power = -2.0 * pair as f64 / self.config.rotated as f64;
                let frequency = self.config.base.powf(power) / self.factors[pair];
                let (s, c) = (position as f64 * frequency).sin_cos();
                let (a, b) = (head[2 * pair], head[2 * pair + 1]);
                (head[2 * pair], head[2 * pair + 1]) = (a * c - b * s, a * s + b * c);
            }
        }
    }

    /// The logits after one more token.
    fn step(&mut self, token: i32, position: usize) -> Vec<f64> {
        let Config { width, heads, kv_heads, dim, .. } = self.config;
        let mut x = self.weight("token_embd")[token as usize * width..][..width].to_vec();
        let add =
            |x: &mut [f64], part: &[f64]| x.iter_mut().zip(part).for_each(|(x, part)| *x += part);
        for layer in 0..self.config.layers {
            let name = |part: &str| format!("blk.{layer}.{part}");
            let normal = self.norm(&x, &name("attn_norm"));
            let mut queries = self.product(&normal, &name("attn_q"));
            let mut keys = self.product(&normal, &name("attn_k"));
            let values = self.product(&normal, &name("attn_v"));
            self.rope(&mut queries, position);
            self.rope(&mut keys, position);
            self.keys[layer].extend(keys);
            self.values[layer].extend(values);
            let mut mixed = Vec::new();
            for (head, query) in queries.chunks(dim).enumerate() {
                let start = head * kv_heads / heads * dim;
                let of = |all: &[f64], token: usize| {
                    all[token * kv_heads * dim + start..][..dim].to_vec()
                };
                let weights = (0..=position).map(|token| {
                    let key = of(&self.keys[layer], token);
                    let dot: f64 = query.iter().zip(&key).map(|(q, k)| q * k).sum();
                    (dot / (dim as f64).sqrt()).exp()
                });
                let weights: Vec<f64> = weights.collect();
                let sum: f64 = weights.iter().sum();
                for column in 0..dim {
                    let values = (0..=position).map(|token| of(&self.values[layer], token)[column]);
                    mixed.push(values.zip(&weights).map(|(v, w)| v * w / sum).sum());
                }
            }
            add(&mut x, &self.product(&mixed, &name("attn_output")));
            let normal = self.norm(&x, &name("ffn_norm"));
            let gate = self.product(&normal, &name("ffn_gate"));
            let up = self.product(&normal, &name("ffn_up"));
            let hidden = gate.iter().zip(&up).map(|(g, u)| g / (1.0 + (-g).exp()) * u);
            add(&mut x, &self.product(&hidden.collect::<Vec<_>>(), &name("ffn_down")));
        }
        self.product(&self.norm(&x, "output_norm"), "token_embd")
    }
}

/// The cache holds halves, with an error of 2⁻¹¹; through four layers it stays within 1 % of the largest logit.
#[track_caller]
fn close(found: &[f32], expected: &[f64]) {
    let largest = expected.iter().fold(0.0, |most: f64, logit| most.max(logit.abs()));
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        assert!(
            error <= 0.01 * largest,
            "logit {i} is {found}, not {expected}; the largest is {largest}"
        );
    }
}

fn best(logits: impl IntoIterator<Item = f64>) -> usize {
    let all = logits.into_iter().enumerate();
    all.max_by(|a, b| a.1.total_cmp(&b.1)).expect("a vocabulary").0
}

/// A file that is deleted in the end.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).expect("it is there");
    }
}

/// The example's random model, with other metadata and tensors.
fn model(name: &str, meta: &[(&str, Value)], tensors: &[(&str, &[f32])]) -> (Temporary, Gguf) {
    let path = std::env::temp_dir().join(format!("{name}-{}.gguf", std::process::id()));
    write_random(&path).expect("a file");
    let path = Temporary(path);
    let file = Gguf::open(&path.0).expect("it is valid");
    if meta.is_empty() && tensors.is_empty() {
        return (path, file);
    }
    let old = file.metadata().filter(|(key, _)| meta.iter().all(|(other, _)| other != key));
    let all: Vec<(&str, Value)> =
        old.map(|(key, value)| (key, value.clone())).chain(meta.iter().cloned()).collect();
    let read: Vec<_> = file
        .weights()
        .tensors()
        .iter()
        .map(|info| (info, file.weights().read(info.name()).expect("its bytes")))
        .collect();
    let mut entries: Vec<Entry<'_>> = read
        .iter()
        .map(|(info, bytes)| {
            Entry::new(info.name(), info.dtype().expect("known"), info.shape(), bytes)
        })
        .collect();
    let added: Vec<(&str, [usize; 1], Vec<u8>)> = tensors
        .iter()
        .map(|(name, values)| {
            (*name, [values.len()], values.iter().flat_map(|v| v.to_le_bytes()).collect())
        })
        .collect();
    entries.extend(
        added.iter().map(|(name, shape, bytes)| Entry::new(name, DType::F32, shape, bytes)),
    );
    let mut bytes = Vec::new();
    Gguf::write(&mut bytes, &all, &entries).expect("writable");
    std::fs::write(&path.0, bytes).expect("a file");
    let file = Gguf::open(&path.0).expect("it is valid");
    (path, file)
}

const GREEDY: Sample = Sample { temperature: 0.0, top_p: 1.0, min_p: 0.0 };

/// Compares the logits of a prompt and of six tokens after it, and returns these tokens.
fn compare(file: &Gguf, prompt: &[i32], factors: Vec<f64>) -> Vec<i32> {
    let gpu = Gpu::open().expect("a GPU");
    let queue = gpu.new_command_queue().expect("a queue");
    let (ops, model) = (Ops::new(&gpu), Model::new(&gpu, file).expect("a model"));
    let config = Config::of(file).expect("a configuration");
    let empty = vec![Vec::new(); config.layers];
    let decoded = |name: &str| -> Vec<f64> {
        let values = file.weights().dequantize(name).expect("a tensor");
        values.into_iter().map(f64::from).collect()
    };
    let infos = file.weights().tensors().iter();
    let weights = infos.map(|info| (info.name().to_owned(), decoded(info.name()))).collect();
    let mut reference = Reference { weights, config, factors, keys: empty.clone(), values: empty };

    let activations = model.activations(&gpu, prompt.len()).expect("memory");
    prepare(&activations, prompt, 0, 0.0).expect("free");
    let mut stream = Stream::new(&gpu, &queue);
    model.forward(&ops, &mut stream, &activations, GREEDY).expect("it is recorded");
    stream.finish().expect("it runs");
    let mut expected = Vec::new();
    for (position, &token) in prompt.iter().enumerate() {
        expected = reference.step(token, position);
    }
    close(&activations.logits.to_vec::<f32>().expect("free"), &expected);
    let mut token = activations.chosen.to_vec::<i32>().expect("free")[0];
    assert_eq!(token as usize, best(expected), "the greedy token of the prompt");

    let step = model.activations(&gpu, 1).expect("memory");
    let (graph, ()) =
        Graph::record(|stream| model.forward(&ops, stream, &step, GREEDY)).expect("a graph");
    let mut tokens = vec![token];
    for position in prompt.len()..prompt.len() + 6 {
        prepare(&step, &[token], position, 0.0).expect("free");
        graph.replay(&gpu, &queue, &[], &[]).expect("it is replayed").wait().expect("it runs");
        let expected = reference.step(token, position);
        close(&step.logits.to_vec::<f32>().expect("free"), &expected);
        token = step.chosen.to_vec::<i32>().expect("free")[0];
        assert_eq!(token as usize, best(expected), "the greedy token of position {position}");
        tokens.push(token);
    }
    tokens
}

#[test]
fn logits_are_those_of_the_definition() {
    let (_path, file) = model("transformer", &[], &[]);
    compare(&file, &[3, 400, 77, 255, 12], vec![1.0; 16]);
}

/// Llama 3.1 divides each frequency by a factor of the file; other models divide all of them.
#[test]
fn positions_are_scaled() {
    // A prompt so long that angles differ.
    let prompt: Vec<i32> = (0..40).map(|i| i * 11 % 500).collect();
    let factors: Vec<f32> = (0..16).map(|pair| 1.0 + pair as f32 / 2.0).collect();
    let (_path, file) = model("factors", &[], &[("rope_freqs.weight", &factors)]);
    let by_factors = compare(&file, &prompt, factors.iter().map(|&f| f64::from(f)).collect());
    let linear = [
        ("llama.rope.scaling.type", Value::from("linear")),
        ("llama.rope.scaling.factor", Value::from(4.0f32)),
    ];
    let (_path, file) = model("linear", &linear, &[]);
    let by_four = compare(&file, &prompt, vec![4.0; 16]);
    let (_path, file) = model("plain", &[], &[]);
    let plain = compare(&file, &prompt, vec![1.0; 16]);
    assert!(by_factors != plain && by_four != plain, "the factors make a difference");
}

/// The whole program: it writes the text of the tokens that a greedy choice of the logits makes.
#[test]
fn the_program_generates_the_greedy_tokens() {
    let (_path, file) = model("program", &[], &[]);
    let gpu = Gpu::open().expect("a GPU");
    let queue = gpu.new_command_queue().expect("a queue");
    let mut text = Vec::new();
    let task = Task { prompt: "the sea 919 é", count: 5, sample: GREEDY };
    let summary = run(&gpu, &queue, &file, &task, &mut text).expect("it runs");
    let vocabulary = Vocabulary::of(&file).expect("valid").expect("it has one");
    assert_eq!(summary.prompt, vocabulary.prompt(task.prompt));
    let expected = compare(&file, &summary.prompt, vec![1.0; 16]);
    assert_eq!(summary.tokens, expected[..5]);
    let bytes: Vec<u8> = expected[..5].iter().flat_map(|&token| vocabulary.bytes(token)).collect();
    assert_eq!(text, bytes);

    // It stops at a token that ends texts, and at the end of the context.
    let end = ("tokenizer.ggml.eos_token_id", Value::from(expected[2] as u32));
    let last = expected[..2].contains(&expected[2]);
    let (_path, ended) = model("ended", &[end], &[]);
    let summary = run(&gpu, &queue, &ended, &task, &mut Vec::new()).expect("it runs");
    assert!(last || summary.tokens == expected[..2], "{:?}", summary.tokens);
    let count = summary.prompt.len();
    let short = |context: usize| [("llama.context_length", Value::from(context as u32))];
    let (_path, file) = model("short", &short(count + 3), &[]);
    let summary = run(&gpu, &queue, &file, &task, &mut Vec::new()).expect("it runs");
    assert_eq!(summary.tokens, expected[..3]);
    let (_path, file) = model("shorter", &short(count), &[]);
    let error = run(&gpu, &queue, &file, &task, &mut Vec::new()).unwrap_err().to_string();
    assert_eq!(error, format!("a prompt of {count} tokens: from 1 to {} are possible", count - 1));
}

#[test]
fn files_that_need_more_than_the_program_has_are_errors() {
    let gpu = Gpu::open().expect("a GPU");
    let long = [
        ("llama.rope.scaling.type", Value::from("longrope")),
        ("llama.rope.scaling.factor", Value::from(2.0f32)),
    ];
    for (name, meta, tensors, message) in [
        (
            "experts",
            &[][..],
            &[("blk.0.ffn_gate_inp.weight", &[1.0f32][..])][..],
            "blk.0.ffn_gate_inp.weight",
        ),
        ("bias", &[], &[("blk.0.attn_q.bias", &[1.0])], "blk.0.attn_q.bias"),
        ("layer", &[], &[("blk.4.attn_q.weight", &[1.0])], "blk.4.attn_q.weight"),
        ("few", &[], &[("rope_freqs.weight", &[1.0, 2.0])], "2 factors for 16 pairs"),
        ("long", &long, &[], "longrope"),
    ] {
        let (_path, file) = model(name, meta, tensors);
        let error = Model::new(&gpu, &file).map(drop).unwrap_err().to_string();
        assert!(error.contains(message), "{error}, not {message}");
    }
    for (key, value, message) in [
        ("tokenizer.ggml.model", "bert", "\"bert\" is not supported"),
        ("tokenizer.ggml.pre", "poro-chat", "no merges"),
    ] {
        let meta = [
            (key, Value::from(value)),
            ("tokenizer.ggml.tokens", Value::from(vec!["a".to_owned()])),
        ];
        let file = vocabulary_file(&meta);
        let found = Vocabulary::of(&file).map(drop);
        match key {
            "tokenizer.ggml.model" => {
                let error = found.unwrap_err().to_string();
                assert!(error.contains(message), "{error}");
            }
            // SentencePiece has no such rules.
            _ => assert!(found.is_ok()),
        }
    }
}

fn vocabulary_file(meta: &[(&str, Value)]) -> Gguf {
    let mut file = Vec::new();
    Gguf::write(&mut file, meta, &[]).expect("writable");
    Gguf::parse(file).expect("valid")
}

/// A small vocabulary of SentencePiece: bytes, letters, and words with scores.
#[test]
fn sentence_piece_merges_by_score() {
    let words = [
        ("<unk>", 0.0),
        ("<s>", 0.0),
        ("</s>", 0.0),
        ("▁", -10.0),
        ("h", -11.0),
        ("e", -12.0),
        ("l", -13.0),
        ("o", -14.0),
        ("▁h", -5.0),
        ("he", -4.0),
        ("ll", -1.0),
        ("ell", -2.0),
        ("llo", -3.0),
        ("▁hello", -6.0),
        ("▁he", -4.5),
    ];
    let bytes = (0..256).map(|b| (format!("<0x{b:02X}>"), -100.0));
    let all: Vec<(String, f32)> =
        words.iter().map(|(word, score)| ((*word).to_owned(), *score)).chain(bytes).collect();
    let types =
        [2, 3, 3].into_iter().chain((3..all.len()).map(|i| if i < words.len() { 1 } else { 6 }));
    let meta = |prefix: bool| {
        [
            ("tokenizer.ggml.model", Value::from("llama")),
            (
                "tokenizer.ggml.tokens",
                Value::from(all.iter().map(|(w, _)| w.clone()).collect::<Vec<_>>()),
            ),
            ("tokenizer.ggml.scores", Value::from(all.iter().map(|(_, s)| *s).collect::<Vec<_>>())),
            ("tokenizer.ggml.token_type", Value::Array(Array::I32(types.clone().collect()))),
            ("tokenizer.ggml.bos_token_id", Value::from(1u32)),
            ("tokenizer.ggml.eos_token_id", Value::from(2u32)),
            ("tokenizer.ggml.add_space_prefix", Value::from(prefix)),
        ]
    };
    let vocabulary = |prefix: bool| {
        Vocabulary::of(&vocabulary_file(&meta(prefix))).expect("valid").expect("it has one")
    };
    let (prefixed, plain) = (vocabulary(true), vocabulary(false));
    let id =
        |text: &str| all.iter().position(|(word, _)| word == text).expect("it is there") as i32;
    let ids = |texts: &[&str]| texts.iter().map(|text| id(text)).collect::<Vec<i32>>();
    // "ll" is merged first, then "ell" (-2 before "llo" with -3), and then nothing: "hell" is no token, although "▁hello" is one.
    assert_eq!(prefixed.encode("hello"), ids(&["▁h", "ell", "o"]));
    assert_eq!(plain.encode("hello"), ids(&["h", "ell", "o"]));
    assert_eq!(prefixed.encode("he he"), ids(&["▁he", "▁he"]));
    // Without a token of its own, a character is its bytes.
    assert_eq!(plain.encode("é"), ids(&["<0xC3>", "<0xA9>"]));
    assert_eq!(prefixed.prompt("he"), ids(&["<s>", "▁he"]));
    assert!(prefixed.ends(2) && !prefixed.ends(1));
    assert!(
        prefixed.bytes(1).is_empty()
            && prefixed.bytes(-1).is_empty()
            && prefixed.bytes(9999).is_empty()
    );
    for text in ["hello he", "é → he\n", "  he  ", "🦀"] {
        let bytes = |tokens: Vec<i32>| -> Vec<u8> {
            tokens.into_iter().flat_map(|token| plain.bytes(token)).collect()
        };
        assert_eq!(bytes(plain.encode(text)), text.as_bytes());
        assert_eq!(bytes(prefixed.encode(text)), format!(" {text}").as_bytes());
    }
}

/// Vocabularies of byte pairs: each byte is a character, and texts are divided before pairs are merged.
#[test]
fn byte_pairs_merge_within_words() {
    // The characters of all bytes, in the order of GPT-2's vocabulary: those that can be shown first.
    let shown = |b: &u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let mut characters: Vec<String> =
        (0..=255u8).filter(shown).map(|b| char::from(b).to_string()).collect();
    let hidden = (0..=255u8).filter(|b| !shown(b)).count() as u32;
    characters
        .extend((0..hidden).map(|i| char::from_u32(256 + i).expect("a character").to_string()));
    let merges =
        ["h e", "l l", "he ll", "hell o", "Ġ w", "1 2", "12 3", "123 4", "Ã ©", "Ġ Ġ", "o Ġ"];
    let merged = merges.iter().map(|pair| pair.replace(' ', ""));
    let mut tokens: Vec<String> = characters.iter().cloned().chain(merged).collect();
    tokens.push("<|end|>".into());
    tokens.push("world".into());
    let end = tokens.len() as u32 - 2;
    let types = (0..tokens.len()).map(|i| if i == end as usize { 3 } else { 1 }).collect();
    let vocabulary = |pre: &str| {
        let meta = [
            ("tokenizer.ggml.model", Value::from("gpt2")),
            ("tokenizer.ggml.pre", Value::from(pre)),
            ("tokenizer.ggml.tokens", Value::from(tokens.clone())),
            ("tokenizer.ggml.merges", Value::from(merges.map(String::from).to_vec())),
            ("tokenizer.ggml.token_type", Value::Array(Array::I32(Clone::clone(&types)))),
            ("tokenizer.ggml.bos_token_id", Value::from(end)),
            ("tokenizer.ggml.eos_token_id", Value::from(end)),
        ];
        Vocabulary::of(&vocabulary_file(&meta)).expect("valid").expect("it has one")
    };
    let (gpt2, llama3) = (vocabulary("gpt-2"), vocabulary("llama-bpe"));
    let show = |vocabulary: &Vocabulary, text: &str| -> Vec<String> {
        vocabulary.encode(text).iter().map(|&token| tokens[token as usize].clone()).collect()
    };
    // A space belongs to the word after it, so that "o" and "Ġ" are never merged.
    assert_eq!(show(&gpt2, "hello w"), ["hello", "Ġw"]);
    assert_eq!(show(&gpt2, "hello   w"), ["hello", "ĠĠ", "Ġw"]);
    // Llama 3 divides numbers into three digits, and takes a whole word that is a token.
    assert_eq!(show(&gpt2, "12345"), ["1234", "5"]);
    assert_eq!(show(&llama3, "12345"), ["123", "4", "5"]);
    assert_eq!(show(&llama3, "world"), ["world"]);
    assert_eq!(show(&gpt2, "world"), ["w", "o", "r", "l", "d"]);
    assert_eq!(show(&gpt2, "é"), ["Ã©"]);
    // Only Llama 3 adds the token that begins a text.
    assert_eq!((gpt2.prompt("w").len(), llama3.prompt("w").len()), (1, 2));
    assert!(gpt2.bytes(end as i32).is_empty() && gpt2.ends(end as i32));
    for text in ["hello wörld", "naïve — 12,345!\r\n\n  x\t", "I'll  we'RE", " 🦀 ", "a\u{3000}b"]
    {
        for vocabulary in [&gpt2, &llama3] {
            let tokens = vocabulary.encode(text);
            let bytes: Vec<u8> = tokens.iter().flat_map(|&t| vocabulary.bytes(t)).collect();
            assert_eq!(bytes, text.as_bytes(), "{text:?}");
        }
    }
}

/// Pieces that the regular expressions of the two rules find, by Python's module `regex`.
#[test]
fn texts_are_divided_as_the_rules_say() {
    let text = "I'LL don't  go: 12345 miles,\n\n \tok!!\n(yes) x ";
    let gpt2 = [
        "I", "'", "LL", " don", "'t", " ", " go", ":", " 12345", " miles", ",", "\n\n ", "\t",
        "ok", "!!", "\n", "(", "yes", ")", " x", " ",
    ];
    let llama3 = [
        "I", "'LL", " don", "'t", " ", " go", ":", " ", "123", "45", " miles", ",\n\n", " ",
        "\tok", "!!\n", "(yes", ")", " x", " ",
    ];
    assert_eq!(generate::vocabulary::pieces(text, false), gpt2);
    assert_eq!(generate::vocabulary::pieces(text, true), llama3);
}
