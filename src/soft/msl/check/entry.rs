//! Entry points (MSL 5.1.3, 5.2): their signatures, and the reflection of their arguments.

use super::layout::is_address;
use super::{Checker, Entity, FuncId, Parameter};
use crate::soft::ir::shape::TensorKind;
use crate::soft::ir::{Input, Scalar, Shape, limits};
use crate::soft::msl::ast::{AddressSpace, Attribute, Stage};
use crate::soft::msl::diagnostics::{Diagnostics, Severity};
use crate::soft::msl::hir::{ExprKind, GlobalIndex, LocalIndex, Part, Uses};
use crate::soft::msl::source::Span;
use crate::soft::msl::texture::{Access as TextureAccess, Texture};
use crate::soft::msl::types::{Field, Qual, TENSOR_RECORD, Ty, TyId, Types, scalar_name};
use std::collections::HashMap;

/// The kind of an argument of an entry point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ArgumentKind {
    Buffer,
    Threadgroup,
    Texture,
    Sampler,
    /// A position of the thread in the launch: not bound by the host.
    Input(Input),
    /// An argument that compute functions do not have.
    Unsupported,
}

/// How an argument may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    ReadOnly,
    ReadWrite,
    WriteOnly,
}

/// One argument of an entry point.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Argument {
    pub(crate) name: String,
    pub(crate) kind: ArgumentKind,
    pub(crate) index: u32,
    /// The index is explicit, not assigned (MSL 5.2.1).
    pub(crate) explicit: bool,
    pub(crate) access: Access,
    pub(crate) space: AddressSpace,
    /// The element type of a buffer, or the component type of a texture.
    pub(crate) type_name: String,
    pub(crate) texture: Option<Texture>,
    /// The length of an array of textures or samplers.
    pub(crate) count: Option<u32>,
    pub(crate) size: u32,
    pub(crate) align: u32,
    /// Whether a buffer holds pointers, references, textures or samplers.
    pub(crate) pointers: bool,
    /// The type that a buffer's pointer points to.
    pub(crate) pointee: Option<Shape>,
    /// A reference: one element, not an array of them.
    pub(crate) reference: bool,
    /// A `visible_function_table`: a buffer of handles, which the parameter holds the address of.
    pub(crate) function_table: bool,
    /// A tensor of the host: a record of it, which the parameter holds the address of.
    pub(crate) tensor: Option<TensorKind>,
    /// `[[stage_in]]`: the attributes that its members are.
    pub(crate) attributes: Vec<StageAttribute>,
    /// `[[function_constant(c)]]`: the argument exists only when the constant is true.
    pub(crate) condition: Option<GlobalIndex>,
}

/// A member of a stage's input that the host describes.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct StageAttribute {
    pub(crate) name: String,
    /// `[[attribute(n)]]`
    pub(crate) index: u32,
    /// The type: a scalar or a vector.
    pub(crate) scalar: Scalar,
    pub(crate) width: u32,
    /// Which member it is.
    pub(crate) member: u32,
    /// Whether the function uses it.
    pub(crate) used: bool,
    /// `[[function_constant(c)]]`: the attribute exists only when the constant is true.
    pub(crate) condition: Option<GlobalIndex>,
}

/// Reflection of an entry point, for the host.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Reflection {
    pub(crate) arguments: Vec<Argument>,
    /// `[[max_total_threads_per_threadgroup(n)]]`
    pub(crate) max_total_threads: Option<u32>,
}

impl Argument {
    /// Whether the parameter is an object that holds the address of what is bound.
    pub(crate) fn is_handle(&self) -> bool {
        self.function_table || self.tensor.is_some()
    }
}

fn is_pointer(ty: &Ty) -> bool {
    matches!(ty, Ty::Pointer(_) | Ty::Reference(..))
}

fn is_resource(ty: &Ty) -> bool {
    is_pointer(ty) || matches!(ty, Ty::Texture(_) | Ty::Sampler)
}

/// The most components of an input (MSL table 5.8): one for each axis of the grid, or one.
pub(super) fn components(input: Input) -> u32 {
    match input {
        Input::ThreadPositionInGrid
        | Input::ThreadPositionInThreadgroup
        | Input::ThreadgroupPositionInGrid
        | Input::ThreadsPerGrid
        | Input::ThreadsPerThreadgroup
        | Input::DispatchThreadsPerThreadgroup
        | Input::ThreadgroupsPerGrid
        | Input::GridOrigin
        | Input::GridSize => 3,
        _ => 1,
    }
}

impl Checker {
    pub(super) fn attribute<'a>(
        &self,
        attributes: &[&'a Attribute],
        names: &[&str],
    ) -> Option<&'a Attribute> {
        let text = |attribute: &Attribute| self.context.names.text(attribute.name.name).to_string();
        attributes.iter().copied().find(|attribute| names.contains(&text(attribute).as_str()))
    }

    /// The arguments of a function, from the attributes of its parameters; reports errors.
    pub(crate) fn reflect(&mut self, id: FuncId) -> Reflection {
        let signature = self.func(id).signature.clone();
        let parameters = self.func(id).parameters.clone();
        let of_kernel = self.func(id).stage == Some(Stage::Kernel);
        let mut arguments = Vec::new();
        for (declared, parameter) in signature.parameters.iter().zip(&parameters) {
            let attributes: Vec<&Attribute> = declared.attributes().collect();
            let name = parameter.name.map(|name| self.text(name)).unwrap_or_default();
            let argument =
                self.argument(name, parameter.qual, &attributes, parameter.span, of_kernel);
            arguments.push(argument);
        }
        self.implicit_indices(&mut arguments, &parameters);
        let function = self.func(id);
        let all: Vec<Attribute> = function.attributes.clone();
        let all: Vec<&Attribute> = all.iter().collect();
        let limit = self
            .attribute(&all, &["max_total_threads_per_threadgroup"])
            .and_then(|attribute| attribute.arguments.first())
            .cloned();
        let max_total_threads = limit
            .and_then(|n| self.constant_int(&n))
            .map(|n| n.clamp(1, limits::THREADS.into()) as u32);
        Reflection { arguments, max_total_threads }
    }

    /// The arguments of a stage of rendering, and for each whether the body uses it, which is assumed of a body with
    /// errors. Of a stage's input, that is known of each attribute. Parameters that the host does not bind are of no kind.
    pub(crate) fn stage_arguments(
        &mut self,
        id: FuncId,
    ) -> Result<Vec<(Argument, bool)>, Diagnostics> {
        let outer = std::mem::take(&mut self.context.diagnostics);
        let reflection = self.reflect(id);
        let diagnostics = std::mem::take(&mut self.context.diagnostics);
        let mut there = self.outside_of_body(self.func(id).scope);
        there.origin = there.func(id).origin;
        let body = there.function_body(id, None);
        drop(there);
        let of_body = std::mem::replace(&mut self.context.diagnostics, outer);
        if diagnostics.has_errors() {
            return Err(diagnostics);
        }
        // One error is about the stage itself.
        let body = body.filter(|_| of_body.count(Severity::Error) == 1);
        let used = body.map(|function| Uses::locals_of(&function.body));
        let is_used = |at: usize, is: &dyn Fn(Part) -> bool| {
            let of_argument =
                |(local, part): &(_, Part)| *local == LocalIndex(at as u32) && is(*part);
            used.as_ref().is_none_or(|parts| parts.iter().any(of_argument))
        };
        let arguments = reflection.arguments.into_iter().enumerate().map(|(at, mut argument)| {
            for attribute in &mut argument.attributes {
                let member = Part::Member(attribute.member);
                attribute.used = is_used(at, &|part| part == Part::Whole || part == member);
            }
            (argument, is_used(at, &|_| true))
        });
        Ok(arguments.collect())
    }

    fn argument(
        &mut self,
        name: String,
        qual: Qual,
        attributes: &[&Attribute],
        span: Span,
        of_kernel: bool,
    ) -> Argument {
        let mut argument = Argument {
            name,
            kind: ArgumentKind::Unsupported,
            index: 0,
            explicit: false,
            access: Access::ReadOnly,
            space: AddressSpace::Thread,
            type_name: self.types.name(qual.ty),
            texture: None,
            count: None,
            size: self.types.size(qual.ty),
            align: self.types.layout(qual.ty).map_or(1, |layout| layout.1),
            pointers: self.points_to(qual.ty, is_resource),
            pointee: None,
            reference: false,
            function_table: false,
            tensor: None,
            attributes: Vec::new(),
            condition: self.depends_on(attributes),
        };
        let target = match *self.types.get(qual.ty) {
            Ty::Pointer(to) => Some((to, false)),
            Ty::Reference(to, _) => Some((to, true)),
            _ => None,
        };
        if let Some((to, reference)) = target {
            let space = to.space_or_thread();
            argument.space = space;
            argument.reference = reference;
            argument.type_name = self.types.name(to.ty);
            let layout = self.types.layout(to.ty).unwrap_or((1, 1));
            (argument.size, argument.align) = layout;
            argument.pointee = Some(self.shape(to.ty));
            argument.kind = match space {
                AddressSpace::Device | AddressSpace::Constant => ArgumentKind::Buffer,
                AddressSpace::Threadgroup => ArgumentKind::Threadgroup,
                // The payload of a stage of rendering: not bound by the host.
                AddressSpace::Other if !of_kernel => ArgumentKind::Unsupported,
                AddressSpace::Thread | AddressSpace::Other => {
                    self.error(span, "pointer parameter of an entry point must have the device, constant or threadgroup address space");
                    ArgumentKind::Unsupported
                }
            };
            if space == AddressSpace::Device && !to.constant {
                argument.access = Access::ReadWrite;
            }
            self.index_of_attribute(&mut argument, &["buffer", "threadgroup"], attributes);
            return argument;
        }
        if self.is_function_table(qual.ty) {
            argument.kind = ArgumentKind::Buffer;
            argument.space = AddressSpace::Constant;
            argument.function_table = true;
            self.index_of_attribute(&mut argument, &["buffer"], attributes);
            return argument;
        }
        if let Some(tensor) = self.tensor(qual.ty) {
            argument.kind = ArgumentKind::Buffer;
            argument.space = AddressSpace::Constant;
            (argument.tensor, argument.pointers) = (Some(tensor), true);
            self.index_of_attribute(&mut argument, &["buffer"], attributes);
            return argument;
        }
        if let Some((of, count)) = self.resource(qual.ty) {
            self.bound(&mut argument, of, count, attributes, span);
            return argument;
        }
        if self.attribute(attributes, &["stage_in"]).is_some() {
            argument.attributes = self.stage_attributes(qual.ty);
        }
        for attribute in attributes {
            let text = match self.context.names.text(attribute.name.name) {
                // The older name of the attribute.
                "thread_execution_width" => Input::ThreadsPerSimdgroup.name(),
                text => text,
            };
            if let Some(&input) = Input::ALL.iter().find(|input| input.name() == text) {
                argument.kind = ArgumentKind::Input(input);
                let fits = self.types.arithmetic(qual.ty).is_some_and(|(scalar, width)| {
                    width <= components(input) && matches!(scalar, Scalar::U16 | Scalar::U32)
                });
                if !fits && qual.ty != Types::UNKNOWN {
                    let ty = self.types.name(qual.ty);
                    self.error(
                        span,
                        format!("type '{ty}' is not valid for attribute '{}'", input.name()),
                    );
                }
            }
        }
        argument
    }

    /// The constant that attributes depend on: `[[function_constant(c)]]`.
    pub(super) fn depends_on(&mut self, attributes: &[&Attribute]) -> Option<GlobalIndex> {
        let attribute = self.attribute(attributes, &["function_constant"])?;
        let name = attribute.arguments.first()?.clone();
        match self.expr(&name).kind {
            ExprKind::Global(global) => Some(global),
            _ => None,
        }
    }

    /// The attributes that the members of a stage's input are.
    fn stage_attributes(&self, ty: TyId) -> Vec<StageAttribute> {
        let Some((_, class)) = self.types.structure(ty) else { return Vec::new() };
        let attribute = |(member, field): (usize, &Field)| {
            let (name, index) = (self.text(field.name?), field.attribute?);
            let (scalar, width) = self.types.arithmetic(field.qual.ty)?;
            let (member, condition) = (member as u32, field.condition);
            Some(StageAttribute { name, index, scalar, width, member, used: true, condition })
        };
        class.fields().iter().enumerate().filter_map(attribute).collect()
    }

    /// The index of a buffer or of threadgroup memory, if an attribute states it.
    fn index_of_attribute(
        &mut self,
        argument: &mut Argument,
        names: &[&str],
        attributes: &[&Attribute],
    ) {
        let attribute = self.attribute(attributes, names);
        if let Some(index) = attribute.and_then(|a| a.arguments.first()).cloned()
            && let Some(number) = self.constant_int(&index)
        {
            argument.explicit = true;
            // As many indices as for buffers: the limit of an encoder.
            self.assign_index(argument, number, limits::BUFFERS, index.span);
        }
    }

    /// Whether a type is the library's `visible_function_table` (MSL 2.15).
    fn is_function_table(&self, ty: TyId) -> bool {
        self.types.structure(ty).is_some_and(|(_, class)| {
            let of_library = |field: &Field| field.span.lo < self.library.end;
            &*class.name.text == "visible_function_table"
                && class.fields().first().is_some_and(of_library)
        })
    }

    /// The kind of a tensor of the host (MSL 2.20.2.1), if a type is one.
    pub(super) fn tensor(&self, ty: TyId) -> Option<TensorKind> {
        let (id, class) = self.types.structure(ty)?;
        let [field] = class.fields() else { return None };
        let Ty::Pointer(record) = *self.types.get(field.qual.ty) else { return None };
        let (_, record) = self.types.structure(record.ty)?;
        let [data, _, _, sizes, _] = record.fields() else { return None };
        match (&*record.name.text, self.types.get(data.qual.ty), self.types.get(sizes.qual.ty)) {
            (TENSOR_RECORD, Ty::Pointer(of), Ty::Array(_, Some(rank)))
                if is_address(&self.types, data.qual.ty).is_some() =>
            {
                let (element, _) = self.types.arithmetic(of.ty)?;
                let names = &self.scopes[self.classes[id.0 as usize].scope.0 as usize].names;
                let index = self.context.names.find("index_type").and_then(|name| {
                    match names.get(&name)?.first()? {
                        Entity::Type(index) => self.types.arithmetic(index.ty),
                        _ => None,
                    }
                });
                let is_device = of.space_or_thread() == AddressSpace::Device;
                let (index, writable) = (index?.0, is_device && !of.constant);
                Some(TensorKind { element, rank: *rank, index, writable })
            }
            _ => None,
        }
    }

    /// A texture or sampler, or an array of them (MSL 2.12.1): the element type, and the length.
    fn resource(&self, ty: TyId) -> Option<(TyId, Option<u32>)> {
        match *self.types.get(ty) {
            Ty::Texture(_) | Ty::Sampler => return Some((ty, None)),
            _ => {}
        }
        let (_, class) = self.types.structure(ty)?;
        let [field] = class.fields() else { return None };
        match *self.types.get(field.qual.ty) {
            Ty::Array(element, count @ Some(_)) => {
                self.resource(element).filter(|one| one.1.is_none()).map(|one| (one.0, count))
            }
            _ => None,
        }
    }

    fn bound(
        &mut self,
        argument: &mut Argument,
        of: TyId,
        count: Option<u32>,
        attributes: &[&Attribute],
        span: Span,
    ) {
        argument.texture = self.texture(of);
        argument.count = count;
        let (name, limit) = match argument.texture {
            Some(texture) => {
                argument.kind = ArgumentKind::Texture;
                argument.type_name = scalar_name(texture.scalar).to_owned();
                argument.access = match texture.access {
                    TextureAccess::Sample | TextureAccess::Read => Access::ReadOnly,
                    TextureAccess::Write => Access::WriteOnly,
                    TextureAccess::ReadWrite => Access::ReadWrite,
                };
                ("texture", limits::TEXTURES)
            }
            None => {
                argument.kind = ArgumentKind::Sampler;
                argument.type_name = self.types.name(of);
                ("sampler", limits::SAMPLERS)
            }
        };
        if let Some(count) = count.filter(|count| *count > limit) {
            let message = format!("array of {count} elements: there are {limit} of kind '{name}'");
            self.error(span, message);
            argument.count = Some(1);
        }
        let attribute = self.attribute(attributes, &[name]);
        if let Some(index) = attribute.and_then(|a| a.arguments.first()).cloned()
            && let Some(number) = self.constant_int(&index)
        {
            argument.explicit = true;
            self.assign_index(argument, number, limit, index.span);
        }
    }

    /// An explicit index, if it is in range.
    fn assign_index(&mut self, argument: &mut Argument, number: i64, limit: u32, span: Span) {
        let places = i64::from(limit) - i64::from(argument.count.unwrap_or(1));
        if !(0..=places).contains(&number) {
            let most = places.max(0);
            self.error(
                span,
                format!("attribute parameter is out of bounds: must be between 0 and {most}",),
            );
        }
        argument.index = number.clamp(0, places.max(0)) as u32;
    }

    /// A resource without an index gets the first free one (MSL 5.2.1).
    fn implicit_indices(&mut self, arguments: &mut [Argument], parameters: &[Parameter]) {
        for (kind, noun, limit) in [
            (ArgumentKind::Buffer, "buffer", limits::BUFFERS),
            (ArgumentKind::Threadgroup, "threadgroup", limits::BUFFERS),
            (ArgumentKind::Texture, "texture", limits::TEXTURES),
            (ArgumentKind::Sampler, "sampler", limits::SAMPLERS),
        ] {
            let mut taken = vec![false; limit as usize];
            let count = |argument: &Argument| argument.count.unwrap_or(1) as usize;
            for argument in arguments.iter().filter(|one| one.kind == kind && one.explicit) {
                let first = argument.index as usize;
                taken[first..first + count(argument)].fill(true);
            }
            for (argument, parameter) in arguments.iter_mut().zip(parameters) {
                if argument.kind != kind || argument.explicit {
                    continue;
                }
                let count = count(argument);
                let is_free = |first: &usize| !taken[*first..first + count].contains(&true);
                let Some(first) = (0..=taken.len() - count).find(is_free) else {
                    let message = format!(
                        "no index of kind '{noun}' is left for '{}': there are {limit}",
                        argument.name
                    );
                    self.error(parameter.span, message);
                    continue;
                };
                taken[first..first + count].fill(true);
                argument.index = first as u32;
            }
        }
    }

    /// Entry points are not overloaded (MSL 1.5.1): the host finds them by name.
    pub(crate) fn check_entry_names(&mut self) {
        let own = self
            .functions
            .iter()
            .enumerate()
            .filter(|(_, func)| func.stage.is_some() && func.is_entry());
        let own = own.map(|(at, _)| (self.entry_name(FuncId(at as u32)), FuncId(at as u32)));
        let all: Vec<_> = own.chain(self.exports.iter().cloned()).collect();
        let mut known: HashMap<String, FuncId> = HashMap::new();
        for (name, id) in all {
            let first = *known.entry(name.clone()).or_insert(id);
            if first != id {
                let span = self.func(id).span;
                self.error(span, format!("redefinition of entry point '{name}'"));
            }
        }
    }

    /// Reports a kernel that returns a value, as declared or as its body deduces.
    pub(super) fn check_entry_result(&mut self, id: FuncId, result: Qual) {
        let func = self.func(id);
        if func.stage == Some(Stage::Kernel) && result.ty != Types::VOID {
            let span = func.span;
            self.error(span, "kernel must have void return type");
        }
    }

    /// Reports errors in an entry point's signature (MSL 5.1.3).
    pub(super) fn check_entry(&mut self, id: FuncId) {
        let (stage, result, span) = (self.func(id).stage, self.func(id).result, self.func(id).span);
        let name = self.func(id).name.clone();
        if stage != Some(Stage::Kernel) {
            self.unsupported(span, format!("function '{name}': a stage other than kernel is"));
            return;
        }
        if let Some(result) = result {
            self.check_entry_result(id, result);
        }
        let reflection = self.reflect(id);
        let parameters = self.func(id).parameters.clone();
        let signature = self.func(id).signature.clone();
        let declared = signature.parameters.iter().map(|declared| {
            let attributes: Vec<&Attribute> = declared.attributes().collect();
            self.attribute(&attributes, &["stage_in"]).is_some()
        });
        let staged: Vec<bool> = declared.collect();
        for ((argument, parameter), stage_in) in
            reflection.arguments.iter().zip(&parameters).zip(staged)
        {
            match argument.kind {
                ArgumentKind::Unsupported if parameter.qual.ty != Types::UNKNOWN => {
                    let what = match *self.types.get(parameter.qual.ty) {
                        Ty::Opaque(what) => Some(format!("'{what}' is")),
                        Ty::Struct(_) if stage_in => {
                            let message = "'stage_in' of a kernel is not supported: pass a buffer of its structures and \
                                           index it by [[thread_position_in_grid]]";
                            self.context.diagnostics.unsupported(parameter.span, message);
                            continue;
                        }
                        Ty::Struct(_) if self.holds(parameter.qual.ty, is_resource) => {
                            Some("structure of buffers, textures or samplers is".to_owned())
                        }
                        _ => None,
                    };
                    if let Some(what) = what {
                        self.unsupported(parameter.span, what);
                        continue;
                    }
                    self.bad_parameter(&argument.name, parameter.qual.ty, parameter.span);
                }
                _ => {}
            }
            let clash = reflection.arguments.iter().find(|other| {
                !std::ptr::eq(*other, argument)
                    && other.kind == argument.kind
                    && other.index == argument.index
                    && other.explicit
                    && argument.explicit
                    && other.condition.is_none()
                    && argument.condition.is_none()
            });
            if clash.is_some() {
                let what = match argument.kind {
                    ArgumentKind::Buffer => "buffer",
                    ArgumentKind::Texture => "texture",
                    ArgumentKind::Sampler => "sampler",
                    _ => "threadgroup",
                };
                self.error(
                    parameter.span,
                    format!(
                        "cannot reserve '{what}' resource location at index {}",
                        argument.index
                    ),
                );
            }
        }
    }

    /// Whether a pointer or reference is to memory that contains a type for which `wanted` is true.
    fn points_to(&self, ty: TyId, wanted: fn(&Ty) -> bool) -> bool {
        match *self.types.get(ty) {
            Ty::Pointer(to) | Ty::Reference(to, _) => self.holds(to.ty, wanted),
            _ => false,
        }
    }

    fn bad_parameter(&mut self, name: &str, ty: TyId, span: Span) {
        let ty = self.types.name(ty);
        self.error(span, format!("invalid type '{ty}' for input declaration of parameter '{name}' in a kernel function"));
    }
}
