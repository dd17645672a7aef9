//! MTL4ArgumentTable: what kernels take, by addresses and resource IDs (`specs/metal4.md`).

use super::errors::{Error, TensorError};
use super::foundation::{
    Label, NSObject, Object, Strong, device, label, labelled, lock, of_device, soft_class,
};
use super::properties::{LabelText, properties};
use crate::abi::MTLResourceID;
use crate::soft::ir::Sampler;
use crate::soft::kernel::{ArgumentKind, Processor};
use crate::soft::stream::table::{BUFFERS, SAMPLERS, Slot, TEXTURES, Table};
use std::sync::Mutex;

properties! {
    /// How many arguments a table has.
    class MTL4ArgumentTableDescriptor(ArgumentTableDescriptor, ArgumentTableFields);
    [maxBufferBindCount, setMaxBufferBindCount:] buffers: usize = 0;
    [maxTextureBindCount, setMaxTextureBindCount:] textures: usize = 0;
    [maxSamplerStateBindCount, setMaxSamplerStateBindCount:] samplers: usize = 0;
    [initializeBindings, setInitializeBindings:] initialize: bool = false;
    [supportAttributeStrides, setSupportAttributeStrides:] strides: bool = false;
    [label, setLabel:] label: LabelText = None;
}

/// A table of arguments. Dispatches take what it has when they are encoded.
pub(super) struct ArgumentTable {
    processor: &'static Processor,
    label: Label,
    bindings: Mutex<Bindings>,
}

/// The arguments, and how often they changed.
struct Bindings {
    version: u64,
    /// Those of each kind, in the order of [`KINDS`].
    slots: [Vec<Slot>; 3],
}

const KINDS: [ArgumentKind; 3] =
    [ArgumentKind::Buffer, ArgumentKind::Texture, ArgumentKind::Sampler];

labelled!(ArgumentTable);
of_device! { ArgumentTable, table => table.processor; }

soft_class! {
    /// A table of arguments.
    pub(super) class SoftMTL4ArgumentTable(ArgumentTable): NSObject, conforms [MTL4ArgumentTable];
    [device] = device::<ArgumentTable>;
    [label] = label::<ArgumentTable>;
    [setAddress:atIndex:] = |table: &ArgumentTable, address: u64, index: usize| {
        table.set("setAddress:atIndex:", 0, index, address_slot(address));
    };
    // The stride is for vertex functions.
    [setAddress:attributeStride:atIndex:] =
        |table: &ArgumentTable, address: u64, _: usize, index: usize| {
            table.set("setAddress:attributeStride:atIndex:", 0, index, address_slot(address));
        };
    [setResource:atBufferIndex:] = |table: &ArgumentTable, id: MTLResourceID, index: usize| {
        table.set("setResource:atBufferIndex:", 0, index, address_slot(id._impl));
    };
    [setTexture:atIndex:] = |table: &ArgumentTable, id: MTLResourceID, index: usize| {
        let slot = if id._impl == 0 { Slot::Empty } else { Slot::TextureId(id._impl) };
        table.set("setTexture:atIndex:", 1, index, slot);
    };
    [setSamplerState:atIndex:] = |table: &ArgumentTable, id: MTLResourceID, index: usize| {
        table.set("setSamplerState:atIndex:", 2, index, Slot::Sampler(Sampler(id._impl)));
    };
}

fn address_slot(address: u64) -> Slot {
    if address == 0 { Slot::Empty } else { Slot::Address(address) }
}

impl ArgumentTable {
    /// A table without arguments.
    pub(super) fn new(
        processor: &'static Processor,
        descriptor: Option<&Object<ArgumentTableDescriptor>>,
    ) -> Result<Strong<Self>, Error<TensorError>> {
        let fields = descriptor.map(|descriptor| descriptor.get()).unwrap_or_default();
        let counts = [fields.buffers, fields.textures, fields.samplers];
        let most = [BUFFERS, TEXTURES, SAMPLERS];
        for ((kind, count), most) in KINDS.into_iter().zip(counts).zip(most) {
            if count > most {
                let why = format!("{count} {}s: an argument table has {most} at most", kind.name());
                return Err(Error::new(TensorError::InvalidDescriptor, why));
            }
        }
        let table_label = Label::default();
        table_label.set(fields.label.as_ref().map(|text| text.to_str()).as_deref());
        let slots = counts.map(|count| vec![Slot::Empty; count]);
        Ok(Strong::new(Self {
            processor,
            label: table_label,
            bindings: Mutex::new(Bindings { version: 1, slots }),
        }))
    }

    /// There is no command buffer that could report an error, so it goes to standard error.
    fn set(&self, selector: &str, kind: usize, index: usize, slot: Slot) {
        let mut bindings = lock(&self.bindings);
        let Bindings { version, slots } = &mut *bindings;
        match slots[kind].get_mut(index) {
            Some(bound) => (*bound, *version) = (slot, *version + 1),
            None => {
                let (label, count) = (self.label.after_noun(), slots[kind].len());
                let kind = KINDS[kind].name();
                eprintln!(
                    "aruminium: -[MTL4ArgumentTable {selector}]{label}: {kind} index {index}: the table's descriptor \
                     has {count}"
                );
            }
        }
    }

    /// Copies the arguments into the table of an encoder, unless that has this version; returns the version.
    pub(super) fn copy_to(&self, table: &mut Table, known: u64) -> u64 {
        let bindings = lock(&self.bindings);
        if bindings.version != known {
            for (kind, slots) in KINDS.into_iter().zip(&bindings.slots) {
                for (index, slot) in slots.iter().enumerate() {
                    // The table of an encoder has as many of each kind, at least.
                    _ = table.bind(kind, index, *slot);
                }
            }
        }
        bindings.version
    }
}
