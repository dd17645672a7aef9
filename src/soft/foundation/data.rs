//! NSData: bytes.

use super::mutable_data::NSMutableData;
use super::string::{position_of, slice};
use super::url::Address;
use super::{NSObject, Text, absent, base64, file};
use crate::abi::{Bool, Id, Imp, NSRange};
use crate::soft::runtime::block::{BlockRef, HeldBlock};
use crate::soft::runtime::declare::{ErrorOut, Ours, This, Zone, soft_class};
use crate::soft::runtime::object::{Object, SoftClass, Strong, class_of};
use std::ffi::c_void;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Bytes that the object owns, or that the program lends and does not change while the object lives. Methods of NSMutableData
/// alone change what an object owns.
pub(crate) enum Bytes {
    Owned(Vec<u8>),
    /// An address and a length, and what becomes of the bytes when the object ends.
    Lent(*mut c_void, usize, End),
}

/// The end of bytes that were lent.
pub(crate) enum End {
    Nothing,
    Free,
    /// A block is called with the address and the length.
    Call(HeldBlock),
}

// SAFETY: the bytes are not written to while the object lives.
unsafe impl Send for Bytes {}
// SAFETY: as above.
unsafe impl Sync for Bytes {}

soft_class! {
    /// Immutable bytes.
    pub(crate) class NSData(Bytes): NSObject, conforms [NSCopying, NSMutableCopying], lacks absent::DATA,
        kept as Bytes::unchanging;
    make [data] = Bytes::default;
    init [init] = Bytes::default;
    make [dataWithBytes:length:] = Bytes::copied;
    init [initWithBytes:length:] = Bytes::copied;
    make [dataWithBytesNoCopy:length:] = |bytes, length| Bytes::lent(bytes, length, End::Free);
    init [initWithBytesNoCopy:length:] = |bytes, length| Bytes::lent(bytes, length, End::Free);
    make [dataWithBytesNoCopy:length:freeWhenDone:] =
        |bytes, length, free| Bytes::lent(bytes, length, End::when_done(free));
    init [initWithBytesNoCopy:length:freeWhenDone:] =
        |bytes, length, free| Bytes::lent(bytes, length, End::when_done(free));
    init [initWithBytesNoCopy:length:deallocator:] =
        |bytes, length, block: Option<HeldBlock>| {
            Bytes::lent(bytes, length, block.map_or(End::Nothing, End::Call))
        };
    [copy] = itself;
    [copyWithZone:] = |this, _: Zone| itself(this);
    [mutableCopy] = Bytes::changeable;
    [mutableCopyWithZone:] = |data: &Bytes, _: Zone| data.changeable();

    make [dataWithData:] = Bytes::of_data;
    init [initWithData:] = Bytes::of_data;
    make [dataWithContentsOfFile:] = |path: &Object<Text>| Bytes::from_file(&path.to_str(), ErrorOut::none());
    make [dataWithContentsOfURL:] = |url: &Object<Address>| Bytes::from_file(&url.path()?, ErrorOut::none());
    make [dataWithContentsOfFile:options:error:] =
        |path: &Object<Text>, _: usize, error: ErrorOut| Bytes::from_file(&path.to_str(), error);
    make [dataWithContentsOfURL:options:error:] =
        |url: &Object<Address>, _: usize, error: ErrorOut| Bytes::from_file(&url.path()?, error);
    init [initWithContentsOfFile:] = |path: &Object<Text>| Bytes::from_file(&path.to_str(), ErrorOut::none());
    init [initWithContentsOfURL:] = |url: &Object<Address>| Bytes::from_file(&url.path()?, ErrorOut::none());
    init [initWithContentsOfFile:options:error:] =
        |path: &Object<Text>, _: usize, error: ErrorOut| Bytes::from_file(&path.to_str(), error);
    init [initWithContentsOfURL:options:error:] =
        |url: &Object<Address>, _: usize, error: ErrorOut| Bytes::from_file(&url.path()?, error);
    init [initWithBase64EncodedString:options:] = |text: &Object<Text>, options: usize| {
        base64::decode(text.to_str().as_bytes(), options & base64::IGNORE != 0).map(Bytes::Owned)
    };
    init [initWithBase64EncodedData:options:] = |data: &Object<Bytes>, options: usize| {
        base64::decode(data.as_slice(), options & base64::IGNORE != 0).map(Bytes::Owned)
    };
    [base64EncodedStringWithOptions:] = |data: &Bytes, options: usize| {
        Text::object(base64::encode(data.as_slice(), options))
    };
    [base64EncodedDataWithOptions:] = |data: &Bytes, options: usize| {
        Bytes::object(base64::encode(data.as_slice(), options).as_bytes())
    };
    [writeToFile:atomically:] = |data: &Bytes, path: &Object<Text>, atomic: bool| {
        file::write_or(&path.to_str(), data.as_slice(), atomic, ErrorOut::none())
    };
    [writeToURL:atomically:] = |data: &Bytes, url: &Object<Address>, atomic: bool| {
        url.path().is_some_and(|path| file::write_or(&path, data.as_slice(), atomic, ErrorOut::none()))
    };
    [writeToFile:options:error:] = |data: &Bytes, path: &Object<Text>, options: usize, error: ErrorOut| {
        file::write_or(&path.to_str(), data.as_slice(), options & ATOMIC != 0, error)
    };
    [writeToURL:options:error:] = |data: &Bytes, url: &Object<Address>, options: usize, error: ErrorOut| {
        let write = |path: String| file::write_or(&path, data.as_slice(), options & ATOMIC != 0, error);
        url.path().is_some_and(write)
    };
    [rangeOfData:options:range:] = range_of;
    [enumerateByteRangesUsingBlock:] = each;
    [getBytes:] = |data: &Bytes, to: *mut c_void| give(data.as_slice(), to);
    [getBytes:length:] = |data: &Bytes, to: *mut c_void, length: usize| {
        give(&data.as_slice()[..length.min(data.as_slice().len())], to)
    };
    [getBytes:range:] = |data: This<'_, Bytes>, to: *mut c_void, range: NSRange| {
        give(part(&data, range), to)
    };
    [subdataWithRange:] = |data: This<'_, Bytes>, range: NSRange| {
        Bytes::object(part(&data, range))
    };
    [bytes] = |data: &Bytes| data.as_slice().as_ptr().cast::<c_void>();
    [length] = |data: &Bytes| data.as_slice().len();
    [isEqual:] = |data: &Bytes, other: Ours<Bytes>| data.is_equal(other.0);
    [isEqualToData:] = Bytes::is_equal;
    [hash] = Bytes::hash_value;
    [description] = Bytes::describe;
}

/// `NSDataWritingAtomic`.
const ATOMIC: usize = 1;

/// A new object with a copy of the bytes, owned by the caller; nil for null.
///
/// # Safety
///
/// There are that many bytes.
pub(super) unsafe fn copy_of(bytes: *const c_void, length: usize) -> Id {
    Bytes::copied(bytes, length)
        .map_or(Id::NIL, |bytes| Strong::new(bytes).into_retained().into_owned())
}

impl Default for Bytes {
    fn default() -> Self {
        Self::Owned(Vec::new())
    }
}

impl Bytes {
    /// An object with a copy of the bytes.
    pub(crate) fn object(bytes: &[u8]) -> Strong<Self> {
        Strong::new(Self::Owned(bytes.into()))
    }

    fn from_file(path: &str, error: ErrorOut) -> Option<Self> {
        file::read_or(path, error).map(Self::Owned)
    }

    /// An NSMutableData of the same bytes.
    fn changeable(&self) -> Strong<Self> {
        Strong::of_class(&NSMutableData, Self::Owned(self.as_slice().to_vec()))
    }

    /// The data that a method keeps for one that was passed: itself, or of a mutable one a copy.
    fn unchanging(this: &Object<Self>) -> Strong<Self> {
        // SAFETY: a reference to an object keeps it alive.
        match std::ptr::eq(unsafe { class_of(this.id()) }, Self::class()) {
            true => this.retain(),
            false => Self::object(this.as_slice()),
        }
    }

    /// The bytes as the object's own, so that they can change.
    pub(super) fn owned(&mut self) -> &mut Vec<u8> {
        if let Self::Lent(..) = self {
            *self = Self::Owned(self.as_slice().to_vec());
        }
        match self {
            Self::Owned(bytes) => bytes,
            Self::Lent(..) => unreachable!("they have been copied"),
        }
    }

    fn of_data(other: &Object<Self>) -> Self {
        Self::Owned(other.as_slice().into())
    }

    fn copied(bytes: *const c_void, length: usize) -> Option<Self> {
        // SAFETY: the caller passed that many bytes.
        unsafe { slice(bytes.cast::<u8>(), length) }.map(|bytes| Self::Owned(bytes.into()))
    }

    fn lent(bytes: *mut c_void, length: usize, end: End) -> Option<Self> {
        (length == 0 || !bytes.is_null()).then_some(Self::Lent(bytes, length, end))
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Lent(bytes, length, _) => {
                // SAFETY: the lender leaves them there; `lent` has checked for null.
                unsafe { slice(bytes.cast::<u8>().cast_const(), *length) }.unwrap_or(&[])
            }
        }
    }

    fn is_equal(&self, other: Option<&Object<Self>>) -> bool {
        other.is_some_and(|other| self.as_slice() == other.as_slice())
    }

    fn hash_value(&self) -> usize {
        let mut hasher = DefaultHasher::new();
        self.as_slice().hash(&mut hasher);
        hasher.finish() as usize
    }

    fn describe(&self) -> Strong<Text> {
        Text::object(format!("{{length = {}}}", self.as_slice().len()))
    }
}

impl End {
    pub(super) fn when_done(free: bool) -> Self {
        if free { Self::Free } else { Self::Nothing }
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        unsafe extern "C" {
            fn free(memory: *mut c_void);
        }
        match self {
            Self::Owned(_) | Self::Lent(.., End::Nothing) => {}
            // SAFETY: the caller passed ownership of memory that `malloc` returned.
            Self::Lent(bytes, _, End::Free) => unsafe { free(*bytes) },
            Self::Lent(bytes, length, End::Call(block)) => {
                // SAFETY: the block was passed as one that takes an address and a length.
                unsafe {
                    let call: unsafe extern "C" fn(Id, *mut c_void, usize) =
                        std::mem::transmute::<Imp, _>(block.invoke());
                    call(block.id(), *bytes, *length);
                }
            }
        }
    }
}

/// Calls a block with the bytes, which are one piece. The block may change them.
fn each(this: This<'_, Bytes>, block: BlockRef) {
    let (bytes, length) = (this.as_slice().as_ptr(), this.as_slice().len());
    let Some(invoke) = block.invoke().filter(|_| length > 0) else { return };
    let (range, mut stop) = (NSRange { location: 0, length }, Bool::new(false));
    // SAFETY: the block was passed as one that takes these arguments.
    unsafe {
        let invoke = std::mem::transmute::<
            Imp,
            unsafe extern "C" fn(BlockRef, *const c_void, NSRange, *mut Bool),
        >(invoke);
        invoke(block, bytes.cast(), range, &raw mut stop);
    }
}

/// The bytes of a range.
pub(super) fn part<'a>(this: &'a This<'_, Bytes>, range: NSRange) -> &'a [u8] {
    let end = range.location.checked_add(range.length);
    end.and_then(|end| this.as_slice().get(range.location..end)).unwrap_or_else(|| {
        let NSRange { location, length } = range;
        let all = this.as_slice().len();
        this.fault(format_args!("range {{{location}, {length}}} beyond bounds of {all} bytes"))
    })
}

/// Where bytes are in a range of these; `NSNotFound` if they are not there.
fn range_of(
    this: This<'_, Bytes>,
    sought: &Object<Bytes>,
    options: usize,
    range: NSRange,
) -> NSRange {
    const BACKWARDS: usize = 1;
    const ANCHORED: usize = 2;
    let (own, sought) = (part(&this, range), sought.as_slice());
    let found = position_of(own, sought, options & ANCHORED != 0, options & BACKWARDS != 0);
    match found {
        Some(at) => NSRange { location: range.location + at, length: sought.len() },
        None => NSRange { location: isize::MAX as usize, length: 0 },
    }
}

/// Copies bytes to an address.
fn give(bytes: &[u8], to: *mut c_void) {
    // SAFETY: the caller passed room for as many.
    unsafe { to.cast::<u8>().copy_from(bytes.as_ptr(), bytes.len()) }
}

fn itself(this: This<'_, Bytes>) -> Strong<Bytes> {
    this.retain()
}
