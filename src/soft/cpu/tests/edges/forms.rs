//! Each form of address, with each type and kind of access.

use super::*;

/// The distances are numbered from -16.
fn is_distance_tested(distance: i64) -> bool {
    is_tested((distance + 16) as usize, 0)
}

#[test]
fn uniform_accesses_at_the_ends_of_memory() {
    for ty in types() {
        for what in [What::Load, What::Store, What::StoreUniform] {
            for form in [Form::Offset, Form::Pointer] {
                sweep([plain(form, what, ty)], &Way::plain_and_native());
            }
        }
    }
    for distance in (-16..=36).filter(|&distance| is_distance_tested(distance)) {
        for ty in [vector(Scalar::U8, 1), vector(Scalar::U32, 1), vector(Scalar::U16, 2)] {
            for what in [What::Load, What::Store] {
                sweep([plain(Form::Field(distance), what, ty)], &Way::plain_and_native());
            }
        }
    }
}

#[test]
fn indexed_accesses_at_the_ends_of_memory() {
    for ty in types() {
        for what in [What::Load, What::Store] {
            for (signed, masked) in [(false, false), (true, true)] {
                let kernel = Kernel { masked, ..plain(Form::Index { signed }, what, ty) };
                sweep([kernel], &Way::all());
            }
        }
    }
}

#[test]
fn biased_indices_and_rows_at_the_ends_of_memory() {
    for ty in [
        vector(Scalar::U32, 1),
        vector(Scalar::F32, 1),
        vector(Scalar::U16, 1),
        vector(Scalar::F16, 1),
        vector(Scalar::BF16, 4),
        vector(Scalar::U64, 2),
    ] {
        for what in [What::Load, What::Store] {
            let distances = -16..memory_bytes(ty) - 16;
            for distance in distances.filter(|&distance| is_distance_tested(distance)) {
                for masked in [false, true] {
                    let forms = [
                        Form::Biased { distance, signed: masked },
                        Form::Biased { distance, signed: false },
                        Form::Grid { distance },
                    ];
                    let kernels = forms.map(|form| Kernel { masked, ..plain(form, what, ty) });
                    sweep(kernels, &Way::all());
                }
            }
        }
    }
}

#[test]
fn prepared_lanes_at_the_ends_of_memory() {
    for ty in types() {
        for what in [What::Load, What::Store] {
            for form in [Form::Sum, Form::Pointers, Form::TwoArguments] {
                let kernel = Kernel { masked: ty.width() == 1, ..plain(form, what, ty) };
                sweep([kernel], &Way::all());
            }
        }
    }
}

#[test]
fn joined_loads_at_the_ends_of_memory() {
    for scalar in [Scalar::U8, Scalar::U16, Scalar::U32, Scalar::U64] {
        for count in [2, 4, 8, 16].into_iter().filter(|count| count * scalar.bytes() <= 32) {
            let what = What::Joined(count);
            let grid = Form::Grid { distance: 0 };
            let forms = [Form::Index { signed: false }, Form::Sum, Form::Pointers, grid];
            // Numbers of 64 bits stay apart, which makes a difference only to lanes that are evenly apart.
            for form in forms.into_iter().filter(|&form| form != grid || scalar != Scalar::U64) {
                let kernel = plain(form, what, vector(scalar, 1));
                sweep([Kernel { masked: count == 4 || count == 16, ..kernel }], &Way::all());
            }
        }
    }
}

#[test]
fn threadgroup_memory_at_its_ends() {
    for ty in [
        vector(Scalar::U8, 1),
        vector(Scalar::F16, 1),
        vector(Scalar::F16, 4),
        vector(Scalar::U32, 1),
        vector(Scalar::U32, 3),
        vector(Scalar::U64, 4),
    ] {
        let joined = ty.width() == 1 && memory_bytes(ty) < 8;
        let whats = [Some(What::Load), Some(What::Store), joined.then_some(What::Joined(4))];
        for what in whats.into_iter().flatten() {
            for form in [Form::Offset, Form::Index { signed: false }, Form::Sum, Form::Pointers] {
                for masked in [false, true] {
                    let kernel = Kernel { threadgroup: true, masked, ..plain(form, what, ty) };
                    sweep([kernel], &Way::all());
                }
            }
        }
    }
}

#[test]
fn constant_memory_is_not_written_by_any_form_of_access() {
    let forms = [
        Form::Field(0),
        Form::Offset,
        Form::Pointer,
        Form::Index { signed: false },
        Form::Biased { distance: 0, signed: false },
        Form::Grid { distance: 0 },
        Form::Sum,
        Form::Pointers,
        Form::TwoArguments,
    ];
    let whats = [What::Store, What::StoreUniform, What::Atomic(Op::AtomicAdd)];
    for (form, what) in forms.into_iter().flat_map(|form| whats.map(|what| (form, what))) {
        let kernel = plain(form, what, vector(Scalar::U32, 1));
        let mut module = kernel.module();
        for allocation in &mut module.allocations[..2] {
            let AllocationKind::Buffer { writable, .. } = &mut allocation.kind else { panic!() };
            *writable = false;
        }
        for way in Way::all() {
            let mut memory = [[7u32; 32], [0; 32], [1; 32]];
            let [data, zeros, values] = &mut memory;
            let mut indices: [u32; 32] = std::array::from_fn(|k| k as u32);
            let mut wide = [0u64; 32];
            let data = bind(DATA, data);
            let bindings = [
                data,
                Binding { index: AGAIN, ..data },
                bind(VALUES, values),
                bind(INDICES, &mut indices),
                bind(WIDE, &mut wide),
                bind(UNIFORM, zeros),
            ];
            let found = run(&module, way, &launch([32, 1, 1], [32, 1, 1], &bindings));
            let kind = found.expect_err("a fault").kind;
            let constant = matches!(kind, FaultKind::Access { constant: true, write: true, .. });
            assert!(constant, "{kernel:?} {kind:?}");
            assert_eq!(memory[0], [7; 32], "{kernel:?}");
        }
    }
}
