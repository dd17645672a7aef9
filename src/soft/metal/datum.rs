//! Data that an error carries beside its text: what an NSError has under a key of its user information.
//!
//! `specs/soft-metal.md` documents the keys.

use super::foundation::{List, Number, Pairs, Retained, Text};
use crate::soft::kernel::profile::{Line, Memory, Pattern, SPACES, Summary};
use crate::soft::kernel::sanitize::{Access, Report};
use crate::soft::kernel::{Fault, FaultKind, SourcePosition};
use crate::soft::stream::log::Message;
use crate::soft::stream::trace::quoted;

/// Under this key a command buffer's error has the fault of a kernel, a record.
pub(super) const KERNEL_FAULT: &str = "AruminiumKernelFault";

/// Under this key a library's error has the messages of the compiler, a list of records.
pub(super) const DIAGNOSTICS: &str = "AruminiumDiagnostics";

/// A value that becomes an object only when the error is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Datum {
    /// An NSString.
    Text(String),
    /// An NSNumber.
    Integer(i128),
    /// An NSArray.
    List(Vec<Datum>),
    /// An NSDictionary.
    Record(Vec<(&'static str, Datum)>),
}

impl Datum {
    /// The object.
    pub(super) fn object(&self) -> Retained {
        match self {
            Self::Text(text) => Text::object(text.as_str()).into_retained(),
            Self::Integer(value) => Number::object(*value).into_retained(),
            Self::List(items) => List::object(items.iter().map(Self::object)).into_retained(),
            Self::Record(fields) => {
                let field = |(key, value): &(&'static str, Self)| {
                    (Text::object(*key).into_retained(), value.object())
                };
                Pairs::object(fields.iter().map(field)).into_retained()
            }
        }
    }
}

impl Datum {
    /// The value as JSON.
    pub(super) fn json(&self) -> String {
        let list = |parts: Vec<String>| parts.join(",");
        match self {
            Self::Text(text) => quoted(text),
            Self::Integer(value) => value.to_string(),
            Self::List(items) => format!("[{}]", list(items.iter().map(Self::json).collect())),
            Self::Record(fields) => {
                let field =
                    |(key, value): &(&str, Self)| format!("{}:{}", quoted(key), value.json());
                format!("{{{}}}", list(fields.iter().map(field).collect()))
            }
        }
    }
}

macro_rules! from {
    ($($variant:ident($ty:ty)),+) => {$(
        impl From<$ty> for Datum {
            fn from(value: $ty) -> Self {
                Self::$variant(value.into())
            }
        }
    )+};
}

from!(Text(&str), Integer(u32), Integer(u64), Integer(i64), Integer(bool));

impl From<&Message> for Datum {
    fn from(message: &Message) -> Self {
        Self::Record(vec![
            ("kernel", message.kernel.as_str().into()),
            ("thread", Self::List(message.thread.map(Self::from).to_vec())),
            ("level", message.level.into()),
            ("subsystem", message.subsystem.as_str().into()),
            ("category", message.category.as_str().into()),
            ("text", message.text.as_str().into()),
        ])
    }
}

impl From<&Fault> for Datum {
    fn from(fault: &Fault) -> Self {
        let mut fields = vec![("kernel", Self::from(fault.kernel.as_str()))];
        let mut field = |key, value: Self| fields.push((key, value));
        if let Some(position) = fault.position {
            field("thread", Self::List(position.map(Self::from).to_vec()));
        }
        position_fields(fault.source.as_deref())
            .into_iter()
            .for_each(|(key, value)| field(key, value));
        let kind = match &fault.kind {
            FaultKind::Access { argument, offset, bytes, write, size, constant } => {
                if let Some(argument) = argument {
                    field("argument", argument.as_str().into());
                    field("size", (*size).into());
                }
                field("offset", (*offset).into());
                field("bytes", (*bytes).into());
                field("write", (*write).into());
                field("constant", (*constant).into());
                "access"
            }
            FaultKind::Misaligned { argument, offset, bytes, write } => {
                if let Some(argument) = argument {
                    field("argument", argument.as_str().into());
                }
                field("offset", (*offset).into());
                field("bytes", (*bytes).into());
                field("write", (*write).into());
                "misaligned"
            }
            FaultKind::Element { argument, index, length } => {
                field("argument", argument.as_str().into());
                field("index", (*index).into());
                field("length", (*length).into());
                "element"
            }
            FaultKind::Call { .. } => "call",
            FaultKind::Handle { what } => {
                field("argument", what.as_str().into());
                "handle"
            }
            FaultKind::Device { what } => {
                field("argument", what.as_str().into());
                "device"
            }
            FaultKind::Barrier => "barrier",
            FaultKind::Watchdog { .. } => "timeout",
            FaultKind::GroupSize { threads } => {
                field("threads", (*threads).into());
                "group size"
            }
            FaultKind::ThreadgroupMemory { bytes } => {
                field("bytes", (*bytes).into());
                "threadgroup memory"
            }
        };
        field("kind", kind.into());
        Self::Record(fields)
    }
}

/// The fields of a position in the source.
fn position_fields(source: Option<&SourcePosition>) -> Vec<(&'static str, Datum)> {
    let fields = |source: &SourcePosition| {
        vec![
            ("file", source.file.as_str().into()),
            ("line", source.line.into()),
            ("column", source.column.into()),
        ]
    };
    source.map_or(Vec::new(), fields)
}

impl From<&Access> for Datum {
    fn from(access: &Access) -> Self {
        let mut fields = vec![
            ("kernel", access.kernel.as_str().into()),
            ("thread", Self::List(access.thread.map(Self::from).to_vec())),
            ("write", access.kind.writes().into()),
            ("atomic", access.kind.is_atomic().into()),
        ];
        fields.extend(position_fields(access.source.as_ref()));
        Self::Record(fields)
    }
}

impl From<&Report> for Datum {
    fn from(report: &Report) -> Self {
        let mut fields = vec![
            ("kernel", report.kernel.as_str().into()),
            ("kind", report.kind.name().into()),
            ("offset", report.offset.into()),
            ("bytes", report.bytes.into()),
            ("count", report.count.into()),
            ("remedy", report.remedy.as_str().into()),
            ("message", report.to_string().as_str().into()),
            ("accesses", Self::List(report.accesses.iter().map(Self::from).collect())),
        ];
        if let Some(argument) = &report.argument {
            fields.push(("argument", argument.as_str().into()));
        }
        Self::Record(fields)
    }
}

impl From<&Summary> for Datum {
    fn from(profile: &Summary) -> Self {
        let extent = &profile.extent;
        Self::Record(vec![
            ("kernel", profile.kernel.as_str().into()),
            ("launches", extent.launches.into()),
            ("threadgroups", extent.threadgroups.into()),
            ("simdgroups", extent.simdgroups.into()),
            ("threads", extent.threads.into()),
            ("threadsPerThreadgroup", extent.group_threads.into()),
            ("threadgroupMemory", extent.group_memory.into()),
            ("threadgroupsThatFit", extent.fitting().into()),
            ("hints", texts(&profile.hints)),
            ("lines", Self::List(profile.lines.iter().map(Self::from).collect())),
        ])
    }
}

impl From<&Line> for Datum {
    fn from(line: &Line) -> Self {
        let mut fields = vec![
            ("file", line.file.as_str().into()),
            ("line", line.number.into()),
            ("runs", line.runs.into()),
            ("lanes", line.lanes.into()),
            ("operations", line.operations.into()),
            ("barriers", line.barriers.into()),
            ("atomics", line.atomics.into()),
            ("contended", line.contended.into()),
            ("hints", texts(&line.hints)),
        ];
        let memory = line.memory.iter().zip(SPACES).filter(|(memory, _)| memory.number() > 0);
        fields.extend(memory.map(|(memory, space)| (space.name(), memory.into())));
        Self::Record(fields)
    }
}

impl From<&Memory> for Datum {
    fn from(memory: &Memory) -> Self {
        let pattern = |pattern: Pattern| {
            let accesses = memory.accesses[pattern as usize];
            let fields = vec![
                ("accesses", accesses.number.into()),
                ("bytes", accesses.bytes.into()),
                ("cacheLines", accesses.cache_lines.into()),
            ];
            (pattern.name(), Self::Record(fields))
        };
        let mut fields: Vec<_> = Pattern::ALL.into_iter().map(pattern).collect();
        if let Some((least, most)) = memory.stride {
            fields.extend([("leastStride", least.into()), ("greatestStride", most.into())]);
        }
        fields.push(("bankConflicts", memory.conflicts.into()));
        Self::Record(fields)
    }
}

fn texts(texts: &[String]) -> Datum {
    Datum::List(texts.iter().map(|text| text.as_str().into()).collect())
}
