//! The compiler's type traits, `__is_class(T)` and the like, of which `<metal_type_traits>` is made: their names.

macro_rules! traits {
    ($($id:ident $names:literal $operands:literal;)*) => {
        /// A property of types that only the compiler knows.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Trait { $($id,)* }

        /// Each trait with its names and the least number of types that it takes.
        const TRAITS: &[(Trait, &str, usize)] = &[$((Trait::$id, $names, $operands),)*];
    };
}

traits! {
    Abstract "__is_abstract" 1;
    Arithmetic "__is_arithmetic" 1;
    Array "__is_array" 1;
    Assignable "__is_assignable" 2;
    BaseOf "__is_base_of" 2;
    Class "__is_class" 1;
    Const "__is_const" 1;
    Constructible "__is_constructible" 1;
    Convertible "__is_convertible __is_convertible_to" 2;
    Destructible "__is_destructible" 1;
    Empty "__is_empty" 1;
    Enum "__is_enum" 1;
    Final "__is_final" 1;
    FloatingPoint "__is_floating_point" 1;
    Function "__is_function" 1;
    Fundamental "__is_fundamental" 1;
    Integral "__is_integral" 1;
    Literal "__is_literal __is_literal_type" 1;
    Reference "__is_reference" 1;
    LvalueReference "__is_lvalue_reference" 1;
    NullPointer "__is_nullptr" 1;
    Object "__is_object" 1;
    Pod "__is_pod" 1;
    Pointer "__is_pointer" 1;
    Polymorphic "__is_polymorphic" 1;
    RvalueReference "__is_rvalue_reference" 1;
    Same "__is_same __is_same_as" 2;
    Scalar "__is_scalar" 1;
    Signed "__is_signed" 1;
    StandardLayout "__is_standard_layout" 1;
    Trivial "__is_trivial" 1;
    TriviallyAssignable "__is_trivially_assignable" 2;
    TriviallyConstructible "__is_trivially_constructible" 1;
    TriviallyDestructible "__is_trivially_destructible" 1;
    TriviallyCopyable "__is_trivially_copyable" 1;
    Union "__is_union" 1;
    Unsigned "__is_unsigned" 1;
    Vector "__is_vector" 1;
    Void "__is_void" 1;
    Volatile "__is_volatile" 1;
}

impl Trait {
    /// The trait with this name, and the least number of types that it takes.
    pub(crate) fn named(name: &str) -> Option<(Trait, usize)> {
        if !name.starts_with("__is_") {
            return None;
        }
        let row = TRAITS.iter().find(|row| row.1.split(' ').any(|known| known == name))?;
        Some((row.0, row.2))
    }
}
