//! A kind of actor: a handler with the types of its messages, compiled, and the states of its actors.

use super::error::RingError;
use super::layout::{
    CALL, DEAD, RingHeader, RingLane, RingRecord, RingSeat, RingStep, error, head,
};
use super::message::{Layout, Message, declarations, layout_kernel};
use super::options::Launch;
use super::places::Places;
use crate::{Dispatch, Gpu, GpuError, Pipeline};
use std::collections::BTreeMap;
use std::fmt::Write;

const OUTBOX: &str = include_str!("tick.metal");
const LOOP: &str = include_str!("loop.metal");

/// The types of an actor: what it receives, what it sends, and its state.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Types {
    pub(super) input: Layout,
    pub(super) output: Layout,
    pub(super) state: Layout,
    pub(super) input_type: u32,
    pub(super) output_type: u32,
}

impl Types {
    /// An error if the layout of a type is not that of its values: mail and states are copied by the layout's size.
    pub(super) fn of<I: Message, O: Message, S: Message>() -> Result<Self, RingError> {
        Ok(Self {
            input: checked::<I>()?,
            output: checked::<O>()?,
            state: checked::<S>()?,
            input_type: I::TYPE,
            output_type: O::TYPE,
        })
    }

    pub(super) fn layouts(&self) -> [&Layout; 3] {
        [&self.input, &self.output, &self.state]
    }
}

fn checked<T: Message>() -> Result<Layout, RingError> {
    let layout = T::layout();
    let (ty, bytes) = (std::any::type_name::<T>(), size_of::<T>());
    if layout.size == bytes {
        return Ok(layout);
    }
    Err(RingError::Layout(format!(
        "`{ty}` has {bytes} bytes, but `{}` of its `Message::layout` has {}: declare it by `message!`",
        layout.name, layout.size
    )))
}

/// The pipelines of a kind for actors with a number of lanes that lead to them.
#[derive(Debug)]
pub(super) struct Pipelines {
    pub(super) tick: Pipeline,
    /// For states in device memory.
    pub(super) save: Option<Pipeline>,
}

/// A handler, and the actors that have it.
#[derive(Debug)]
pub(super) struct Kind {
    number: usize,
    code: String,
    file: String,
    pub(super) types: Types,
    groups: u32,
    pub(super) threads: u32,
    pub(super) in_place: bool,
    pub(super) states: Places,
    /// The actors that run, by index.
    pub(super) members: Vec<usize>,
    pipelines: BTreeMap<usize, Pipelines>,
}

impl Kind {
    /// Compiles the handler, and checks how the compiler lays out its structures.
    pub(super) fn new(
        gpu: &Gpu,
        dispatch: &Dispatch,
        number: usize,
        name: &str,
        code: &str,
        types: Types,
        launch: &Launch,
    ) -> Result<Self, RingError> {
        let file: String = name
            .chars()
            .map(|c| if c == '"' || c == '\\' || c.is_control() { '_' } else { c })
            .collect();
        let states = Places::new(gpu, types.state.size, launch.in_place)?;
        let mut kind = Self {
            number,
            code: code.to_owned(),
            file,
            types,
            groups: launch.groups,
            threads: launch.threads,
            in_place: launch.in_place,
            states,
            members: Vec::new(),
            pipelines: BTreeMap::new(),
        };
        check_layouts(gpu, dispatch, &kind.types.layouts())?;
        kind.prepare(gpu, 1)?;
        Ok(kind)
    }

    /// Whether an actor with this handler, these types and this launch is of this kind.
    pub(super) fn fits(&self, code: &str, types: &Types, launch: &Launch) -> bool {
        let own = (&*self.code, &self.types, self.groups, self.threads, self.in_place);
        own == (code, types, launch.groups, launch.threads, launch.in_place)
    }

    /// The number of threads of an actor.
    pub(super) fn width(&self) -> u32 {
        self.groups * self.threads
    }

    /// How the members are launched: threadgroups, those of one actor alone, and threads of each.
    pub(super) fn grid(&self) -> (u32, u32, u32) {
        let members = self.members.len() as u32;
        if self.in_place {
            (members * self.groups, self.groups, self.threads)
        } else {
            let threads = members.clamp(1, 32);
            (members.div_ceil(threads), 1, threads)
        }
    }

    /// The same for the kernel that copies states.
    pub(super) fn save_grid(&self) -> (u32, u32, u32) {
        let (members, chunks) = (self.members.len() as u32, self.chunks());
        ((members * chunks).div_ceil(32), chunks.div_ceil(32), 32)
    }

    /// The number of threads that copy a state.
    fn chunks(&self) -> u32 {
        self.types.state.size.div_ceil(256).clamp(1, 1024) as u32
    }

    /// The name of the kernel of a tick. Faults name it.
    pub(super) fn kernel(number: usize) -> String {
        format!("ring_tick_{number}")
    }

    /// The pipelines, by the most lanes that lead to an actor.
    pub(super) fn pipelines(&self, ins: usize) -> &Pipelines {
        &self.pipelines[&ins.max(1).next_power_of_two()]
    }

    /// Compiles for actors that at most this number of lanes lead to, unless that is done already.
    pub(super) fn prepare(&mut self, gpu: &Gpu, ins: usize) -> Result<(), RingError> {
        let ins = ins.max(1).next_power_of_two();
        if self.pipelines.contains_key(&ins) {
            return Ok(());
        }
        let library = gpu.compile(&self.source(ins)?).map_err(|error| self.explain(error))?;
        let pipeline = |name: &str| -> Result<Pipeline, RingError> {
            let function = library.function(name).map_err(|error| self.explain(error))?;
            Ok(gpu.pipeline(&function)?)
        };
        let tick = pipeline(&Self::kernel(self.number))?;
        let limit = tick.max_total_threads_per_threadgroup();
        if self.threads as usize > limit {
            return Err(RingError::Invalid(format!(
                "{} threads of a group: this handler can have {limit}",
                self.threads
            )));
        }
        let save = if self.in_place { Some(pipeline("ring_save")?) } else { None };
        self.pipelines.insert(ins, Pipelines { tick, save });
        Ok(())
    }

    fn explain(&self, error: GpuError) -> RingError {
        let Types { input, output, state, .. } = &self.types;
        let space = if self.in_place { "device" } else { "thread" };
        RingError::Handler(format!(
            "{error}\nthe signature is `void handle(thread const {} &message, {space} {} &state, thread Outbox<{}> &out)`",
            input.name, state.name, output.name
        ))
    }

    /// The whole source for actors that at most `ins` lanes lead to.
    pub(super) fn source(&self, ins: usize) -> Result<String, RingError> {
        let Types { input, output, state, .. } = &self.types;
        let mut text = String::from("#include <metal_stdlib>\nusing namespace metal;\n");
        let word = if state.size.is_multiple_of(4) && state.align.is_multiple_of(4) {
            "uint"
        } else {
            "uchar"
        };
        let names: [(&str, &str); 6] = [
            ("RING_I", &input.name),
            ("RING_O", &output.name),
            ("RING_S", &state.name),
            ("RING_WORD", word),
            ("RING_TICK", &Self::kernel(self.number)),
            ("RING_SAVE", "ring_save"),
        ];
        let numbers = [
            ("RING_THREADS", self.width() as usize),
            ("RING_GROUPS", self.groups as usize),
            ("RING_IN_PLACE", self.in_place.into()),
            ("RING_INS", ins.max(1).next_power_of_two()),
            ("RING_CHUNKS", self.chunks() as usize),
            ("RING_HEAD_STOP", head::STOP),
            ("RING_HEAD_RAN", head::RAN),
            ("RING_HEAD_ACTIVE", head::ACTIVE),
            ("RING_HEAD_STALLED", head::STALLED),
            ("RING_HEAD_DEAD", head::DEAD),
            ("RING_HEAD_BEGAN", head::BEGAN),
            ("RING_DEAD", DEAD as usize),
            ("RING_CALL", CALL as usize),
            ("RING_ERROR_FAILED", error::FAILED as usize),
            ("RING_ERROR_EMITS", error::EMITS as usize),
            ("RING_ERROR_EDGE", error::EDGE as usize),
            ("RING_ERROR_THREAD", error::THREAD as usize),
        ];
        for (name, value) in names {
            _ = writeln!(text, "#define {name} {value}");
        }
        for (name, value) in numbers {
            _ = writeln!(text, "#define {name} {value}u");
        }
        let own = own_layouts();
        text += &declarations(&own.each_ref())?;
        text += OUTBOX;
        text += &declarations(&self.types.layouts())?;
        _ = writeln!(text, "#line 1 \"{}\"\n{}\n#line 1 \"loop.metal\"", self.file, self.code);
        Ok(text + LOOP)
    }
}

/// The structures that the host shares with the kernel of a tick.
fn own_layouts() -> [Layout; 5] {
    [
        RingHeader::layout(),
        RingRecord::layout(),
        RingLane::layout(),
        RingSeat::layout(),
        RingStep::layout(),
    ]
}

/// Checks the layouts of the structures that every kind uses.
pub(super) fn check_own_layouts(gpu: &Gpu, dispatch: &Dispatch) -> Result<(), RingError> {
    check_layouts(gpu, dispatch, &own_layouts().each_ref())
}

/// Compares the layouts of structures in Rust with those of the MSL compiler: a kernel writes sizes and offsets.
fn check_layouts(gpu: &Gpu, dispatch: &Dispatch, layouts: &[&Layout]) -> Result<(), RingError> {
    let (kernel, facts) = layout_kernel(layouts)?;
    let source = format!(
        "#include <metal_stdlib>\nusing namespace metal;\n{}{kernel}",
        declarations(layouts)?
    );
    let library = gpu.compile(&source).map_err(|error| {
        RingError::Layout(format!(
            "MSL does not accept its declaration: {error}\na structure or field cannot have the name of a keyword of MSL"
        ))
    })?;
    let pipeline = gpu.pipeline(&library.function("ring_layout")?)?;
    let out = gpu.buffer(facts.len() * 4)?;
    let base = gpu.buffer(layouts.iter().map(|layout| layout.size).max().unwrap_or(1))?;
    // SAFETY: the kernel writes one word for each fact, and only takes addresses in the other buffer; the call waits.
    unsafe { dispatch.dispatch(&pipeline, &[(&out, 0, 0), (&base, 0, 1)], (1, 1, 1), (1, 1, 1))? };
    let found = out.read_as(|words: &[u32]| words.to_vec());
    for ((what, expected), found) in facts.into_iter().zip(found) {
        if expected != found as usize {
            return Err(RingError::Layout(format!(
                "{what} is {expected} in Rust and {found} in MSL"
            )));
        }
    }
    Ok(())
}
